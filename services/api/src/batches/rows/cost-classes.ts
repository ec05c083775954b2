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
  /** A class under all that rows have said to be in it, so that most rows cost one look-up. */
  const known = new Map<string, Counted>();
  const classes = new Map<string, Counted>();
  const others: Counted = { class: '', rows: 0, guess: -1 };
  let plain = 0;

  function count(said: Readonly<Record<string, unknown>>, rows: number): void {
    const saying = `${said[steps]} ${said[width]} ${said[height]} ${said.aspect_ratio}`;
    const found = known.get(saying);
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
    if (known.size < 2 * MOST_CLASSES) known.set(saying, counted);
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
