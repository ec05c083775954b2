import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** The bodies of the control endpoints. Nothing is coerced, and nothing unknown is let through. */

const closed = { additionalProperties: false } as const;
const Amount = Type.Union([
  Type.Number({ minimum: -1e9, maximum: 1e9 }),
  Type.String({ pattern: '^-?\\d{1,9}(\\.\\d{1,10})?$' }),
]);
const NotNegative = Type.Union([
  Type.Number({ minimum: 0, maximum: 1e9 }),
  Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,10})?$' }),
]);
const Names = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), { maxItems: 1000 });

/** Amounts in credits, numbers or exact texts. What is given is done in the order in which it stands here. */
export const balanceBody = Compile(
  Type.Object(
    {
      set: Type.Optional(Amount),
      add: Type.Optional(Amount),
      spend: Type.Optional(NotNegative),
      spend_per_second: Type.Optional(NotNegative),
    },
    { ...closed, minProperties: 1 },
  ),
);

export const keysBody = Compile(
  Type.Object(
    {
      accept: Type.Optional(Type.Union([Names, Type.Literal('any')])),
      refuse: Type.Optional(Names),
      restore: Type.Optional(Names),
      models: Type.Optional(Type.Record(Type.String(), Type.Union([Names, Type.Null()]))),
    },
    { ...closed, minProperties: 1 },
  ),
);

export const modelsBody = Compile(
  Type.Object(
    {
      add: Type.Optional(Names),
      retire: Type.Optional(Names),
      restore: Type.Optional(Names),
      remove: Type.Optional(Names),
    },
    { ...closed, minProperties: 1 },
  ),
);
