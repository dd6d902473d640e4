// The 3D view of a label, by NiiVue (BSD-2-Clause, https://github.com/niivue/niivue). Only for
// looking: painting is exact and quick on canvases of our own (src/planes/slice_pane.ts).

import { Niivue, NVImage, SLICE_TYPE } from "@niivue/niivue";
import type { ShownLabel } from "../painter/volume3d_view.ts";
import { labelBytes, tableOf } from "./nifti.ts";

export default async function volume3d(canvas: HTMLCanvasElement): Promise<{
  show(label: ShownLabel): Promise<void>;
  end(): void;
}> {
  const view = new Niivue({
    backColor: [0.04, 0.055, 0.063, 1],
    show3Dcrosshair: false,
    isColorbar: false,
    isOrientCube: false,
    isResizeCanvas: true,
    dragAndDropEnabled: false,
    loadingText: "",
    logLevel: "error",
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
