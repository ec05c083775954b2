import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { BalanceAnswer } from '../segmind/client.ts';
import type { Outcome } from '../segmind/outcome.ts';
import { HOLD_WAIT_MS, type Judgement } from './judge.ts';

/**
 * What the balance call says about a refusal of the account.
 * @param estimate what the refused call was expected to cost
 * @returns undefined when it does not explain the refusal.
 */
export function explainRefusal(
  outcome: Outcome,
  estimate: Nanocredits,
  probe: BalanceAnswer | undefined,
): Judgement | undefined {
  const wait: Pick<Judgement, 'end' | 'ending' | 'log'> = {
    end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
    ending: { kind: 'deferred', reason: 'hold', afterMs: probe === undefined ? 1000 : HOLD_WAIT_MS },
    log: 'warn',
  };
  // Nobody knows, or the key is another one by now, or the upstream cannot be asked: in doubt nobody is charged.
  if (probe === undefined || probe.kind === 'unreachable' || probe.kind === 'unauthorized') return wait;
  if (outcome.kind === 'no_credits' && probe.kind === 'balance' && probe.value < estimate) {
    return {
      ...wait,
      hold: {
        name: 'credits',
        detail: 'The upstream has not enough credits for another image. Work goes on after a top-up.',
      },
    };
  }
  return undefined;
}
