// The 3D view of a label, by NiiVue (BSD-2-Clause, https://github.com/niivue/niivue). Only for
// looking: painting is exact and quick on canvases of our own (src/painter/pane.ts).

import { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
import type { SolidLabel } from "../painter/solid_view.ts";
import { labelBytes, tableOf } from "./nifti.ts";

export default async function solid(canvas: HTMLCanvasElement): Promise<{
  show(label: SolidLabel): Promise<void>;
  end(): void;
}> {
  const view = new Niivue({
    backColor: [0.04, 0.055, 0.063, 1], show3Dcrosshair: false, isColorbar: false, isOrientCube: false,
    isResizeCanvas: true, dragAndDropEnabled: false, loadingText: "", logLevel: "error",
  });
  await view.attachToCanvas(canvas, false);
  view.setSliceType(SLICE_TYPE.RENDER);
  view.setRenderAzimuthElevation(120, 15);
  return {
    show: async (label) => {
      const image = await NVImage.loadFromUrl({ url: labelBytes(label), name: "label.nii" });
      image.setColormapLabel(tableOf(label.colors));
      for (const old of [...view.volumes]) view.removeVolume(old);
      view.addVolume(image);
    },
    end: () => canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}
