import type { Clock } from '@renderyard/shared/clock';
import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';
import type { BalanceAnswer, SegmindClient } from '../segmind/client.ts';
import type { Outcome } from '../segmind/outcome.ts';
import type { UpstreamKey } from '../segmind/upstream-key.ts';

/** What the account was refused, and not the request. */
type RefusedByAccount = Extract<Outcome, { readonly kind: 'unauthorized' | 'no_credits' }>;

export type Prober = ReturnType<typeof createProber>;

/** Nobody waits longer than this for another worker's answer, in milliseconds. */
const TURN_MS = 20_000;
/** How soon to look again whether another worker has its answer, in milliseconds. */
const LOOK_AGAIN_MS = 100;

/**
 * Asks the upstream for the balance, one call at a time over all workers, and takes in what it says: the reading, and
 * the holds that it sets or ends.
 */
export function createProber(options: {
  readonly segmind: SegmindClient;
  readonly key: Pick<UpstreamKey, 'refresh' | 'version'>;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly worker: string;
  readonly floor: Nanocredits;
  readonly resume: Nanocredits;
  /** `SEGMIND_CONCURRENCY`. */
  readonly slots: number;
  /** What a call is guessed to cost, for the question whether one more is possible. */
  readonly estimate: Nanocredits;
  readonly logger: Logger;
  /** Breaks the call off at the end of the process. */
  readonly signal: AbortSignal;
}) {
  const { segmind, key, clock, ledger, worker, logger } = options;
  let triedKey = 0;
  let running: Promise<BalanceAnswer | undefined> | undefined;

  async function ask(holdIfUnread: boolean): Promise<BalanceAnswer | undefined> {
    if (!(await ledger.takeTurn('balance', worker, TURN_MS))) return undefined;
    try {
      const begun = await ledger.beginReading();
      const answer = await askWithCurrentKey();
      await takeIn(answer, begun, holdIfUnread);
      return answer;
    } finally {
      await ledger.endTurn('balance', worker);
    }
  }

  /** A key that is refused may have been replaced in its file: then it is asked again with the new one. */
  async function askWithCurrentKey(): Promise<BalanceAnswer> {
    triedKey = key.version;
    const answer = await segmind.balance(options.signal);
    if (answer.kind !== 'unauthorized') return answer;
    await key.refresh();
    if (key.version === triedKey) return answer;
    triedKey = key.version;
    return segmind.balance(options.signal);
  }

  async function takeIn(
    answer: BalanceAnswer,
    begun: { readonly seq: number; readonly startedAt: number },
    holdIfUnread: boolean,
  ): Promise<void> {
    if (answer.kind === 'unauthorized') {
      const isNew = await ledger.setHold(
        'unauthorized',
        'The upstream refuses the API key (SEGMIND_API_KEY or SEGMIND_API_KEY_FILE). Work goes on once it accepts one.',
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
    const { floor, resume, estimate, slots } = options;
    const { released } = await ledger.takeReading(answer.kind === 'balance' ? answer.value : undefined, begun, {
      floor,
      resume,
      estimate,
      slots,
    });
    if (released) logger.info({ hold: 'credits' }, 'there are credits enough to go on');
  }

  const prober = {
    /** Whether the upstream was not asked yet with the key in use. */
    get keyIsUntried(): boolean {
      return triedKey !== key.version;
    },

    /**
     * Asks after a refusal: an answer to a question that was put before it could not explain it.
     * @returns undefined when nobody can know: the key is another one by now, or others have been asking for too long.
     */
    async explain(refusal: RefusedByAccount): Promise<BalanceAnswer | undefined> {
      await key.refresh();
      const earlier = await running?.catch(() => undefined);
      let answer: BalanceAnswer | undefined = earlier?.kind === 'unauthorized' ? earlier : undefined;
      const deadline = clock.now() + TURN_MS;
      while (answer === undefined && clock.now() < deadline && !options.signal.aborted) {
        answer = await prober.probe({ holdIfUnread: false });
        if (answer === undefined) await clock.sleep(LOOK_AGAIN_MS, options.signal);
      }
      const otherKey = refusal.kind === 'unauthorized' && refusal.keyVersion !== key.version;
      return otherKey ? undefined : answer;
    },

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
  return prober;
}
