import { randomFillSync } from 'node:crypto';

/** So many are drawn in one go: asking for each costs more than all the rest of a row. */
const AT_ONCE = 1024;

/** Draws seeds as `drawSeed` does, evenly from 0 to 2,147,483,647, but quickly. */
export function createSeedDraw(): () => number {
  const drawn = new Uint32Array(AT_ONCE);
  let next = AT_ONCE;
  return () => {
    if (next === AT_ONCE) {
      randomFillSync(drawn);
      next = 0;
    }
    return (drawn[next++] as number) >>> 1;
  };
}
