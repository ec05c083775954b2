import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import type { AttemptRecord } from '@renderyard/shared/webhook/delivery';
import type { TakenDelivery } from '@renderyard/shared/webhook/delivery-store';
import { signWebhook } from '@renderyard/shared/webhook/sign';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import type { AttemptOutcome, WorkerMetrics } from '../metrics/worker-metrics.ts';
import { beginAttempt, tellAttempt } from './attempt-record.ts';
import { nextWait, verdictOf } from './schedule.ts';
import type { SecretsOf } from './secrets-of.ts';
import type { Sender } from './send.ts';

/** Deliveries on their way from one process; and of these, to receivers whose last attempt failed. */
const MOST_SENDING = 64;
const MOST_FAILING = 16;
/**
 * What lasts for longer than this, in milliseconds, gives up its place: it costs little more than a socket, and the others
 * need not wait for receivers that are slow. Sockets have an end, too: it takes more than ninety receivers that are slow,
 * each with four deliveries on their way, to reach it; those that fail have a share of it.
 */
const SLOW_MS = 250;
const MOST_OPEN = 512;
const MOST_OPEN_FAILING = 128;
/** Taken at once. */
const MOST_TAKEN = 16;
/** How often due deliveries are looked for when nobody says that there are some, in milliseconds. */
const LOOK_MS = 500;
/** The lease outlasts an attempt by this much, in milliseconds. */
const LEASE_MARGIN_MS = 10_000;

export interface DelivererDependencies {
  readonly webhooks: Pick<WebhookStore, 'take' | 'record'>;
  readonly sender: Sender;
  readonly secretsOf: SecretsOf;
  /** `WEBHOOK_TIMEOUT_MS`. */
  readonly timeoutMs: number;
  /** `WEBHOOK_SCHEDULE_S`. */
  readonly scheduleS: readonly number[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counts attempts; nobody does if it is left out. */
  readonly metrics?: Pick<WorkerMetrics, 'attemptEnded'>;
  /** Told when Redis was found to be another. */
  readonly onError: (error: unknown) => Promise<void>;
  /** Told when an endpoint has disabled itself. */
  readonly onDisabled: () => void;
}

/** Sends deliveries that are due. Renders do not wait for it, nor it for them. */
export function createDeliverer(deps: DelivererDependencies) {
  const { webhooks, clock, logger } = deps;
  const stopped = new AbortController();
  const active = new Map<Promise<void>, { readonly since: number; readonly failing: boolean }>();
  let brokenOff = false;
  let word = Promise.withResolvers<void>();
  let said = false;
  let running: Promise<void> | undefined;

  function wake(): void {
    said = true;
    word.resolve();
  }

  async function attempt({
    delivery,
    url,
    secrets,
  }: TakenDelivery): Promise<AttemptRecord & { retryAfterMs?: number; cause?: string }> {
    const at = clock.now();
    const known = deps.secretsOf({ delivery, secrets, now: at });
    if (known === undefined) return { at, ms: 0, error: 'secret_unreadable' };
    const headers = signWebhook({ id: delivery.event, atMs: at, body: delivery.body, secrets: known });
    const { status, error, durationMs, answer, retryAfterMs, cause } = await deps.sender.send({
      url,
      headers,
      body: delivery.body,
    });
    return {
      at,
      ms: durationMs,
      ...(status === undefined ? {} : { status }),
      ...(error === undefined ? {} : { error }),
      ...(answer === '' ? {} : { answer }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(cause === undefined ? {} : { cause }),
    };
  }

  async function deliver(taken: TakenDelivery): Promise<void> {
    const { id, at, tries, attempts, receiver, account, event } = taken.delivery;
    const span = beginAttempt(taken.delivery, taken.url);
    const { retryAfterMs, cause, ...told } = await attempt(taken);
    // Its lease runs out, and another worker sends it.
    if (brokenOff) return;
    const verdict = verdictOf(told);
    const outcome = outcomeOf(told, verdict);
    tellAttempt(span, taken.delivery, taken.url, { told, outcome, cause }, logger);
    deps.metrics?.attemptEnded({
      outcome,
      seconds: told.ms / 1000,
      // One that was sent again by hand has fewer tries than attempts, and is late because somebody wanted it so.
      ...(verdict === 'ok' && tries === attempts.length ? { delaySeconds: (clock.now() - at) / 1000 } : {}),
    });
    const waitMs = verdict === 'failed' ? nextWait(deps.scheduleS, tries + 1, retryAfterMs) : undefined;
    const { disabled } = await webhooks.record({
      id,
      lease: taken.lease,
      url: taken.url,
      attempt: told,
      verdict,
      waitMs,
    });
    if (disabled !== undefined) {
      logger.warn(
        { webhook: receiver, account, reason: disabled },
        'a webhook was disabled: its receiver does not take what is sent',
      );
      deps.onDisabled();
    } else if (verdict !== 'ok' && waitMs === undefined)
      logger.warn(
        { delivery: id, event, account, request_id: taken.delivery.origin?.request },
        'a webhook was given up, after all its attempts',
      );
  }

  function begin(taken: TakenDelivery): void {
    const sending = deliver(taken)
      // Its lease runs out, and it is sent again.
      .catch((error: unknown) => deps.onError(error).catch(() => undefined))
      .finally(() => {
        active.delete(sending);
        wake();
      });
    active.set(sending, { since: clock.now(), failing: taken.failing });
  }

  /** How many may be taken now. */
  function places(): { readonly most: number; readonly failingMost: number } {
    const now = clock.now();
    const open = [...active.values()];
    const young = open.filter(({ since }) => now - since < SLOW_MS);
    const failing = (some: typeof open) => some.filter((one) => one.failing).length;
    return {
      most: Math.min(MOST_TAKEN, MOST_SENDING - young.length, MOST_OPEN - open.length),
      failingMost: Math.max(0, Math.min(MOST_FAILING - failing(young), MOST_OPEN_FAILING - failing(open))),
    };
  }

  /** @returns when to look again, in milliseconds from now. */
  async function round(): Promise<number> {
    const { most, failingMost } = places();
    if (most <= 0) return SLOW_MS / 2;
    const leaseMs = deps.timeoutMs + LEASE_MARGIN_MS;
    const { taken, nextAt } = await webhooks.take({ most, failingMost, leaseMs });
    for (const each of taken) begin(each);
    if (taken.length === most) return 0;
    return Math.min(LOOK_MS, Math.max(0, (nextAt ?? Infinity) - clock.now()));
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      word = Promise.withResolvers();
      said = false;
      const waitMs = await round().catch(async (error: unknown) => {
        await deps.onError(error).catch(() => undefined);
        return LOOK_MS;
      });
      // Under load that is so each time, and a timer that is broken off costs an exception.
      if (said) continue;
      // With no place left, and where others take what is due, there is no use in looking at once.
      const timer = new AbortController();
      await Promise.race([word.promise, clock.sleep(Math.max(waitMs, 5), timer.signal)]);
      timer.abort();
    }
  }

  return {
    start() {
      running = loop();
    },
    /** Says that something may be due. */
    wake,
    /** From now on no attempt counts: what is on its way is about to be cut. */
    breakOff() {
      brokenOff = true;
    },
    /** Takes no more; resolves when nothing is on its way. */
    async stop(): Promise<void> {
      stopped.abort();
      wake();
      await running;
      await Promise.all(active.keys());
    },
  };
}

function outcomeOf({ error }: AttemptRecord, verdict: ReturnType<typeof verdictOf>): AttemptOutcome {
  if (error !== undefined) return error;
  return verdict === 'ok' ? 'delivered' : verdict === 'gone' ? 'gone' : 'refused';
}
