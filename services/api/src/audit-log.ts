import type { AuditChange } from '@renderyard/shared/audit-change';
import type { Logger } from '@renderyard/shared/logger';

/** A change by hand: who decided what, and about which batch or webhook, if about one. */
export interface Audit {
  /** The account. */
  readonly by: string;
  readonly action: string;
  readonly batch_id?: string;
  readonly webhook_id?: string;
  readonly changes: readonly AuditChange[];
}

/** What is the user's own text, or a URL, which may hold a token: in the log is that it was changed, not into what. */
const PRIVATE = new Set(['metadata', 'webhook', 'url', 'description']);

/** Writes the one line that each change by hand gets, once it was made. Where nothing changed there is none. */
export function logAudit(logger: Logger, audit: Audit): void {
  if (audit.changes.length === 0) return;
  const changes = audit.changes.map((change) => (PRIVATE.has(change.what) ? { what: change.what } : change));
  logger.info({ audit: { ...audit, changes } }, 'decided by hand');
}
