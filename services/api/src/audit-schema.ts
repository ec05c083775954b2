import { Type } from 'typebox';

/** What a decision changed. */
export const ChangesSchema = Type.Array(
  Type.Object({
    what: Type.String(),
    from: Type.Unknown({ description: 'Null where nothing was set.' }),
    to: Type.Unknown(),
  }),
);

/** Of a list whose items are numbered: `after` is the number of the last one of the page before. */
export const NumberedQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        pattern: '^[1-9][0-9]{0,8}$',
        description: 'the `next` of the page before: the number of its last decision.',
      }),
    ),
  },
  { additionalProperties: false },
);
