/** The type of the manager rows. */

import * as Manager from "../../src/Manager.ts";

class Maths {
  add(x: number, y: number): number {
    return x + y;
  }
}

export const maths = Manager.type(import.meta, "Maths", Maths);
