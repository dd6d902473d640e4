// Beside the planes: what is proposed and why it may not be, the reasons to choose it, the rules.

import { button, element } from "../planes/elements.ts";
import { objection, wayToSave } from "./proposal.ts";
import { type Decision, focused, type ProposedPlace } from "./proposed.ts";
import type { Scene } from "./scene.ts";
import type { NearBorder } from "./types.ts";

const PREVIEW =
  "A preview is being made. Until it is there, XZ and YZ come from the file itself and may take seconds.";

export interface SideEvents {
  shifted(): void;
  dismissed(): void;
  chosen(why: string, nearBorder: NearBorder): void;
  decided(decision: Decision): void;
}

export function sidePanel(scene: Scene, events: SideEvents): HTMLElement {
  const panel = element("div", "side");
  const { message, messageIsError } = scene.data;
  if (message && !scene.proposal)
    panel.append(element("p", messageIsError ? "against" : "done", message));
  if (!scene.tomogram.facts.hasPreview) panel.append(element("p", "note", PREVIEW));
  panel.append(...subject(scene, events));
  const rules = element("ul", "rules", ...scene.data.rules.map((rule) => element("li", "", rule)));
  panel.append(element("h2", "", "When painting"), rules);
  return panel;
}

/** The center that somebody clicked, or the proposed place in focus, or how to begin. */
function subject(scene: Scene, events: SideEvents): HTMLElement[] {
  if (scene.proposal) return proposalParts(scene, events);
  const place = focused(scene.data.proposed);
  return place ? placeParts(place, scene, events) : invitation(scene);
}

function placeParts(place: ProposedPlace, scene: Scene, events: SideEvents): HTMLElement[] {
  const [z, y, x] = place.center;
  const decision = (text: string, title: string, what: Decision): HTMLElement => {
    const made = button(text, title, () => events.decided(what));
    made.dataset["decision"] = what;
    return made;
  };
  const group = element("div", "reasons", decision("Next", "Go to the next place (j)", "next"));
  if (scene.data.proposed.mayDecide)
    group.prepend(
      decision("Accept", "Make a chosen patch of it (y)", "accept"),
      decision("Nothing wrong", "Dismiss it: nothing to correct here (n)", "nothing_wrong"),
      decision("Cannot tell", "Dismiss it: nobody can tell what is there", "cannot_tell"),
    );
  const reason = place.reason.charAt(0).toUpperCase() + place.reason.slice(1);
  return [
    element("h2", "", `Proposal ${place.id}`),
    element("p", "why", `${reason}.`),
    element("p", "", `Center ${x}, ${y}, ${z} (x, y, z).`),
    group,
  ];
}

function invitation(scene: Scene): HTMLElement[] {
  const patch = scene.data.patches.find((p) => p.name === scene.selected);
  if (patch) {
    const [z, y, x] = patch.center;
    const link = element("a", "", "Open this patch");
    link.href = new URL(`patches?patch=${encodeURIComponent(patch.name)}`, document.baseURI).href;
    return [
      element("h2", "", patch.name),
      element("p", "", `${patch.note}. Center ${x}, ${y}, ${z}.`),
      element("p", "", link),
    ];
  }
  const text = scene.data.mayChoose
    ? "Click where the prediction is wrong and you can still see what is there."
    : "You can look around here; choosing needs a segmentation and the role for it.";
  return [element("h2", "", "Choose a patch"), element("p", "", text)];
}

function proposalParts(scene: Scene, events: SideEvents): HTMLElement[] {
  const proposal = scene.proposal!;
  const { shape } = scene.tomogram.facts;
  const [z, y, x] = proposal.center;
  const against = objection(proposal, shape, scene.data.patchSide);
  const parts: HTMLElement[] = [
    element("h2", "", "New patch"),
    element("p", "", `Center ${x}, ${y}, ${z} (x, y, z).`),
  ];
  if (against) parts.push(element("p", "against", against));
  const way = wayToSave(proposal);
  if (way === null)
    parts.push(button("Shift to fit", "Move the center to the nearest legal one", events.shifted));
  else
    parts.push(
      element("p", "", way === "pad" ? "Pad, and choose because of" : "Choose because of"),
      reasons(scene, way, events),
    );
  const dismiss = button("Dismiss", "Forget this proposal (Esc)", events.dismissed);
  dismiss.className = "quiet";
  return [...parts, dismiss];
}

function reasons(scene: Scene, way: NearBorder, events: SideEvents): HTMLElement {
  const group = element("div", "reasons");
  for (const reason of scene.data.reasons) {
    const choice = button(reason.label, "Save this patch", () => events.chosen(reason.value, way));
    choice.dataset["why"] = reason.value;
    group.append(choice);
  }
  return group;
}
