import { toCredits } from '@renderyard/shared/credits/amount';
import type { CreditEvent } from '@renderyard/shared/credits/credit-state';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';

/**
 * Says in the log how the state of credits changed, and that the upstream is held for its failures or is no longer: once
 * over all workers.
 */
export async function tellOfCredits({
  ledger,
  logger,
}: {
  readonly ledger: Pick<Ledger, 'untold'>;
  readonly logger: Logger;
}): Promise<void> {
  const { events, upstream, detail } = await ledger.untold();
  if (upstream === 'held') logger.warn({ hold: 'upstream' }, detail);
  if (upstream === 'released') logger.info({ hold: 'upstream' }, 'the hold for the upstream has ended');
  for (const event of events) {
    const grave = event.type === 'credits.low' || event.type === 'credits.held';
    logger[grave ? 'warn' : event.type === undefined ? 'debug' : 'info'](
      {
        event: event.type,
        from: event.from,
        to: event.to,
        cause: event.cause,
        balance: event.balance === undefined ? undefined : toCredits(event.balance),
      },
      TEXTS[event.type ?? 'other'],
    );
  }
}

const TEXTS = {
  'credits.low': 'credits run low',
  'credits.held': 'nothing is rendered for want of credits',
  'credits.resumed': 'there are credits to go on',
  other: 'the state of credits changed',
} as const satisfies Record<NonNullable<CreditEvent['type']> | 'other', string>;
