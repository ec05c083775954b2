import type { ClassCount } from '@renderyard/shared/batch/batch';
import type { Nanocredits } from '@renderyard/shared/credits/amount';
import { costClass, estimateCost } from '@renderyard/shared/credits/estimate';
import { costFactors, type Model } from '@renderyard/shared/model/model';

/** A batch lists so many classes; the rows of any more are counted under the dearest of these, so never too cheap. */
const MOST_CLASSES = 1000;

interface Counted {
  readonly class: string;
  rows: number;
  readonly guess: Nanocredits;
}

/** Counts rows by what they are expected to cost. */
export interface CostClasses {
  /** @param said of the row's parameters those that differ from the base; undefined when none does */
  add(said: Readonly<Record<string, unknown>> | undefined): void;
  list(): readonly ClassCount[];
}

/**
 * @param base the parameters of a row that says nothing itself
 * @param creditEstimate credits for an image of 1024×1024 in 30 steps
 */
export function createCostClasses(
  model: Model,
  base: Readonly<Record<string, unknown>>,
  creditEstimate: number,
): CostClasses {
  const { steps, width, height } = model.cost;
  /**
   * A class under the steps, width, height and aspect ratio that rows have said to be in it: a map of maps, because a
   * text of the four would have to be made for every row.
   */
  const known = new Map<unknown, Map<unknown, Map<unknown, Map<unknown, Counted>>>>();
  let knownSayings = 0;
  const classes = new Map<string, Counted>();
  const others: Counted = { class: '', rows: 0, guess: -1 };
  let plain = 0;

  function count(said: Readonly<Record<string, unknown>>, rows: number): void {
    const found = known.get(said[steps])?.get(said[width])?.get(said[height])?.get(said.aspect_ratio);
    if (found !== undefined) {
      found.rows += rows;
      return;
    }
    const factors = costFactors(model, { ...base, ...said });
    const name = costClass(factors);
    const guess = estimateCost(factors, creditEstimate);
    let counted = classes.get(name);
    if (counted === undefined && classes.size < MOST_CLASSES - 1) {
      counted = { class: name, rows: 0, guess };
      classes.set(name, counted);
    }
    if (counted === undefined) {
      others.rows += rows;
      if (guess > others.guess) Object.assign(others, { class: name, guess });
      return;
    }
    counted.rows += rows;
    if (knownSayings === 2 * MOST_CLASSES) return;
    knownSayings++;
    inner(inner(inner(known, said[steps]), said[width]), said[height]).set(said.aspect_ratio, counted);
  }

  return {
    add(said) {
      const own =
        said !== undefined &&
        (said[steps] !== undefined ||
          said[width] !== undefined ||
          said[height] !== undefined ||
          said.aspect_ratio !== undefined);
      if (own) count(said, 1);
      else plain++;
    },
    list() {
      if (plain > 0) count({}, plain);
      plain = 0;
      const listed = others.rows === 0 ? [...classes.values()] : [...classes.values(), others];
      return listed.map((one) => ({ ...one }));
    },
  };
}

/** The map under a key, made where there is none. */
function inner<K, V>(of: Map<unknown, Map<K, V>>, key: unknown): Map<K, V> {
  let found = of.get(key);
  if (found === undefined) {
    found = new Map();
    of.set(key, found);
  }
  return found;
}
