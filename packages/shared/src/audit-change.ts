export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** One thing that somebody changed, as the API and the log tell it: amounts are credits, not nanocredits. */
export interface AuditChange {
  /** What was changed, in the words of the API: `floor`, `budgets.acme.day`, `status`, … */
  readonly what: string;
  /** Null where nothing was set. */
  readonly from: JsonValue;
  readonly to: JsonValue;
}
