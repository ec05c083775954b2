import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';
import type { BalanceAnswer, SegmindClient } from '../segmind/client.ts';

export type Prober = ReturnType<typeof createProber>;

/** Nobody waits longer than this for another worker's answer, in milliseconds. */
const TURN_MS = 20_000;

/**
 * Asks the upstream for the balance, one call at a time over all workers, and takes in what it says: the reading, and
 * the holds that it sets or ends.
 */
export function createProber(options: {
  readonly segmind: SegmindClient;
  readonly ledger: Ledger;
  readonly worker: string;
  readonly floor: Nanocredits;
  readonly resume: Nanocredits;
  /** What a call is guessed to cost, for the question whether one more is possible. */
  readonly estimate: Nanocredits;
  readonly logger: Logger;
  /** Breaks the call off at the end of the process. */
  readonly signal: AbortSignal;
}) {
  const { segmind, ledger, worker, logger } = options;
  let running: Promise<BalanceAnswer | undefined> | undefined;

  async function ask(holdIfUnread: boolean): Promise<BalanceAnswer | undefined> {
    if (!(await ledger.takeTurn('balance', worker, TURN_MS))) return undefined;
    try {
      const begun = await ledger.beginReading();
      const answer = await segmind.balance(options.signal);
      await takeIn(answer, begun, holdIfUnread);
      return answer;
    } finally {
      await ledger.endTurn('balance', worker);
    }
  }

  async function takeIn(
    answer: BalanceAnswer,
    begun: { readonly seq: number; readonly startedAt: number },
    holdIfUnread: boolean,
  ): Promise<void> {
    if (answer.kind === 'unauthorized') {
      const isNew = await ledger.setHold(
        'unauthorized',
        'The upstream refuses the API key (SEGMIND_API_KEY). Work goes on once the key is accepted.',
      );
      if (isNew)
        logger.error(
          { hold: 'unauthorized' },
          'the upstream refuses the API key; nothing is rendered until it is accepted',
        );
      return;
    }
    if (answer.kind === 'unreachable') {
      if (options.signal.aborted || !holdIfUnread) return;
      const isNew = await ledger.setHold(
        'credits',
        `The balance cannot be read (${answer.cause}). Work goes on once it can.`,
        { unread: true },
      );
      if (isNew)
        logger.warn(
          { hold: 'credits', cause: answer.cause },
          'the balance cannot be read; nothing is rendered until it can',
        );
      return;
    }
    if (await ledger.releaseHold('unauthorized'))
      logger.info({ hold: 'unauthorized' }, 'the upstream accepts the API key again');
    const { floor, resume, estimate } = options;
    const { released } = await ledger.takeReading(answer.kind === 'balance' ? answer.value : undefined, begun, {
      floor,
      resume,
      estimate,
    });
    if (released) logger.info({ hold: 'credits' }, 'there are credits enough to go on');
  }

  return {
    /**
     * Asks, or waits for the answer that this process already asked for.
     * @param holdIfUnread whether work is held when the upstream cannot be asked: yes, where the answer decides
     * @returns undefined when another worker is asking: look at the ledger again in a moment.
     */
    probe({ holdIfUnread }: { readonly holdIfUnread: boolean }): Promise<BalanceAnswer | undefined> {
      running ??= ask(holdIfUnread).finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}
