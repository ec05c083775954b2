import { createHmac } from 'node:crypto';

/** What processes must agree on, with the setting's name. */
export const AGREED = ['store', 'SECRET_KEY', 'WEBHOOK_SECRET'] as const;
export type Agreed = (typeof AGREED)[number];

/** What a process tells of itself. Later versions add to it and take nothing away. */
export interface RosterEntry {
  readonly service: 'api' | 'worker';
  /** For the log: the machine and the process there. */
  readonly host: string;
  readonly pid: number;
  /** Of Renderyard, and of the data that it works with. */
  readonly version: string;
  readonly state: number;
  /** Fingerprints; one that is not known yet is left out. */
  readonly agreed: Readonly<Partial<Record<Agreed, string>>>;
  /** Of a worker: settings that had better be the same everywhere, as texts. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A process that is there. */
export interface RosterProcess {
  readonly id: string;
  /** Milliseconds since 1970, by Redis's clock. */
  readonly since: number;
  readonly entry: RosterEntry;
}

/** By which two processes see that they have the same secret: the HMAC-SHA256 of a constant, of which nothing follows. */
export function fingerprint(secret: Uint8Array | string): string {
  return createHmac('sha256', secret).update('renderyard: is it the same?').digest('base64url').slice(0, 16);
}
