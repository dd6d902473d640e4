// A way through places of a patch: from one to the next by a key, around and around.

import type { Zyx } from "../planes/geometry.ts";

export interface Place {
  at: Zyx;
  voxels: number;
}

interface TourHost {
  go(at: Zyx): void;
  say(text: string): void;
}

export class Tour {
  private number = -1;

  constructor(
    private readonly host: TourHost,
    private readonly name: string,
    private readonly places: () => readonly Place[],
  ) {}

  /** Go to the next place; they are looked for anew, since painting changes them. */
  next(): void {
    const places = this.places();
    if (!places.length) return this.host.say(`There is no ${this.name}.`);
    this.number = (this.number + 1) % places.length;
    const { at, voxels } = places[this.number]!;
    this.host.go(at);
    this.host.say(`${this.name} ${this.number + 1} of ${places.length}, ${voxels} voxels`);
  }
}
