/**
 * What an API key may do: make and change jobs and batches (`submit`), read them (`read`), register webhooks and read their
 * deliveries (`webhooks`), set limits and hold work (`credits`), and all of it, keys as well (`admin`).
 */
export const SCOPES = ['submit', 'read', 'webhooks', 'credits', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Whether these scopes are enough. `admin` is enough for everything. */
export const allows = (scopes: readonly Scope[], scope: Scope): boolean =>
  scopes.includes(scope) || scopes.includes('admin');
