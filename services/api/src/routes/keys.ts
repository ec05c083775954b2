import type { Clock } from '@renderyard/shared/clock';
import type { FoundKey } from '@renderyard/shared/key/key-records';
import type { KeyRing } from '@renderyard/shared/key/key-ring';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { NewKeySchema, readNewKey } from '../keys/key-body.ts';
import type { KeyDesk } from '../keys/key-desk.ts';
import { KeySchema, KeyWithSecretSchema, viewKey } from '../keys/key-view.ts';
import { isContinued, resourceId } from '../plugins/idempotency.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        pattern: '^key_[0-9a-z]{26}$',
        description: 'the `next` of the page before: the id of its last key.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** `POST` and `GET /v1/keys`, `GET` and `DELETE /v1/keys/{id}`: the API keys of the installation. */
export function keysRoutes(
  app: App,
  { desk, ring, clock }: { readonly desk: KeyDesk; readonly ring: Pick<KeyRing, 'lastUsed'>; readonly clock: Clock },
): void {
  const show = async (keys: readonly FoundKey[]) => {
    const used = keys.length === 0 ? new Map<string, number>() : await ring.lastUsed();
    return keys.map((key) => viewKey(key, { now: clock.now(), lastUsed: used.get(key.record.id) }));
  };
  const showOne = async (key: FoundKey) => {
    const [view] = await show([key]);
    if (view === undefined) throw new Error('one key has one view');
    return view;
  };

  app.route({
    method: 'POST',
    url: '/keys',
    schema: { summary: 'Make an API key', body: NewKeySchema, response: answers({ 201: KeyWithSecretSchema }) },
    config: { makes: 'key', answersSecret: true },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request, reply) => {
      const wanted = readNewKey(request.body, clock.now());
      const { key, secret } = await desk.create(wanted, {
        ...{ id: resourceId(request), continued: isContinued(request), by: request.account },
      });
      request.record.key_id = key.record.id;
      return reply.code(201).send({ ...(await showOne(key)), secret });
    },
  });

  app.get(
    '/keys',
    {
      schema: { summary: 'List API keys', querystring: ListQuery, response: answers({ 200: listOf(KeySchema) }) },
    },
    async ({ query: { limit, after } }) => {
      const { keys, last, more } = await desk.list({ before: after, limit });
      const next = more && last !== undefined ? last : null;
      return { object: 'list' as const, data: await show(keys), has_more: more, next };
    },
  );

  app.get(
    '/keys/:id',
    { schema: { summary: 'Read an API key', params: JobParams, response: answers({ 200: KeySchema }) } },
    async (request) => {
      request.record.key_id = request.params.id.slice(0, 40);
      return showOne(await desk.find(request.params.id));
    },
  );

  app.delete(
    '/keys/:id',
    {
      schema: {
        summary: 'Revoke an API key',
        params: JobParams,
        response: answers({ 204: Type.Null({ description: 'It is refused from now on.' }) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.record.key_id = id.slice(0, 40);
      await desk.revoke(id, request.account);
      return reply.code(204).send(null);
    },
  );
}
