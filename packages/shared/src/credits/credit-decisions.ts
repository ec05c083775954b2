import type { Store } from '../store/store.ts';
import {
  type CreditDecision,
  creditDecisionKey,
  creditDecisionsPrefix,
  parseCreditDecisionKey,
} from './credit-decision.ts';

/** Decisions read at once for a list. */
const AT_ONCE = 10;

export type CreditDecisions = ReturnType<typeof createCreditDecisions>;

/** The decisions about credits as they lie in the store. Every method throws `StoreError`. */
export function createCreditDecisions({ store }: { readonly store: Store }) {
  /** Oldest first. */
  async function listSeqs(): Promise<number[]> {
    const seqs: number[] = [];
    for await (const { key } of store.list(creditDecisionsPrefix)) {
      const seq = parseCreditDecisionKey(key);
      if (seq !== undefined) seqs.push(seq);
    }
    return seqs.sort((a, b) => a - b);
  }

  /** Undefined where there is none, or what lies there is no decision. */
  async function read(seq: number): Promise<CreditDecision | undefined> {
    const object = await store.get(creditDecisionKey(seq));
    if (object === undefined) return undefined;
    const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
    return parseDecision(text, seq);
  }

  return {
    /**
     * The decision that holds; undefined where nothing was ever decided. Where its object is damaged, what was decided
     * before it holds, and so does all work until an operator has looked.
     */
    async last(): Promise<CreditDecision | undefined> {
      const seqs = await listSeqs();
      const newest = seqs.at(-1);
      if (newest === undefined) return undefined;
      for (const seq of seqs.reverse()) {
        const decision = await read(seq);
        if (decision !== undefined) return seq === newest ? decision : damaged(newest, decision);
      }
      return damaged(newest, undefined);
    },

    /** Those with a `seq` below `before`, the newest first; damaged ones are left out. */
    async list({
      before = Number.POSITIVE_INFINITY,
      limit,
    }: {
      readonly before?: number | undefined;
      readonly limit: number;
    }): Promise<readonly CreditDecision[]> {
      const seqs = (await listSeqs()).filter((seq) => seq < before).reverse();
      const found: CreditDecision[] = [];
      for (let from = 0; from < seqs.length && found.length < limit; from += AT_ONCE) {
        const some = await Promise.all(seqs.slice(from, from + AT_ONCE).map(read));
        found.push(...some.filter((each) => each !== undefined));
      }
      return found.slice(0, limit);
    },

    /** @returns false, with nothing written, when another decision with this `seq` was quicker. */
    async write(decision: CreditDecision): Promise<boolean> {
      const body = Buffer.from(`${JSON.stringify(decision)}\n`);
      const options = { contentType: 'application/json', ifAbsent: true };
      return (await store.put(creditDecisionKey(decision.seq), body, options)) === 'stored';
    },
  };
}

function parseDecision(text: string, seq: number): CreditDecision | undefined {
  try {
    const decision = JSON.parse(text) as Partial<CreditDecision> | null;
    const whole =
      decision?.seq === seq &&
      isObject(decision.limits) &&
      isObject(decision.budgets) &&
      (decision.hold === undefined || isObject(decision.hold));
    return whole ? (decision as CreditDecision) : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is not known to be allowed is held. */
function damaged(seq: number, before: CreditDecision | undefined): CreditDecision {
  const detail = `The last decision about credits, ${creditDecisionKey(seq)}, is damaged in the store. What was decided before it holds. Look at the limits and budgets at GET /v1/credits, set them again, and resume.`;
  return {
    seq,
    at: before?.at ?? 0,
    by: before?.by ?? 'unknown',
    action: 'hold',
    changes: [],
    limits: before?.limits ?? {},
    budgets: before?.budgets ?? {},
    hold: { since: before?.at ?? 0, detail },
  };
}
