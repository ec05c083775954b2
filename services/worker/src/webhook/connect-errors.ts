/** Thrown when a host leads to an address that webhooks may not go to. The message is for the log alone. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
}

/** Thrown when a receiver was reached, but no connection came about that is encrypted and its own. */
export class TlsFailedError extends Error {
  override readonly name = 'TlsFailedError';
}

/** Thrown when a name was not resolved in time. */
export class LookupTimeoutError extends Error {
  override readonly name = 'LookupTimeoutError';
}
