import type { FoundKey } from '@renderyard/shared/key/key-records';
import { SCOPES } from '@renderyard/shared/key/scope';
import { type Static, Type } from 'typebox';

const TimeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description });

/** A key as an administrator reads it. */
export const KeySchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('key'),
  name: Type.String(),
  account: Type.String(),
  scopes: Type.Array(Type.Enum([...SCOPES])),
  limits: Type.Object({ requests_per_minute: Type.Union([Type.Integer(), Type.Null()]) }),
  status: Type.Enum(['active', 'expired', 'revoked']),
  begins_with: Type.String({ description: 'How its secret begins, to be told by.' }),
  created_at: Type.String({ format: 'date-time' }),
  created_by: Type.String({ description: 'The account that made it.' }),
  expires_at: TimeOrNull('From then on it is refused; null: never.'),
  revoked_at: TimeOrNull('Null as long as it was not taken back.'),
  last_used_at: TimeOrNull('To a minute. Null where that is not known, as after Redis was emptied.'),
});
export type KeyView = Static<typeof KeySchema>;

/** The same where it was just made. */
export const KeyWithSecretSchema = Type.Object({
  ...KeySchema.properties,
  secret: Type.String({ description: 'What to send as `Authorization: Bearer …`. It is shown this once.' }),
});

const time = (ms: number) => new Date(ms).toISOString();
const timeOrNull = (ms: number | null | undefined) => (ms === null || ms === undefined ? null : time(ms));

/** @param now milliseconds since 1970, as is `lastUsed`. */
export function viewKey(
  { record, revoked }: FoundKey,
  { now, lastUsed }: { readonly now: number; readonly lastUsed: number | undefined },
): KeyView {
  const { id, name, account, scopes, limits, expires_at: expires } = record;
  const status = revoked !== undefined ? 'revoked' : expires !== null && expires <= now ? 'expired' : 'active';
  return {
    ...{ id, object: 'key', name, account, scopes: [...scopes], limits, status },
    begins_with: `ry_${record.token_name}_`,
    created_at: time(record.created_at),
    created_by: record.created_by,
    expires_at: timeOrNull(expires),
    revoked_at: timeOrNull(revoked?.at),
    last_used_at: timeOrNull(lastUsed),
  };
}
