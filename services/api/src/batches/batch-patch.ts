import { Type } from 'typebox';
import { MOST_CREDITS } from '../body/read-credits-amount.ts';
import { readMetadata } from '../body/read-metadata.ts';
import { invalidRequest, type PartProblem } from '../errors/problem-error.ts';
import type { Patch } from './batch-changes.ts';
import { collectOptions } from './option-reader.ts';
import { readBudget, readName, readObject } from './option-values.ts';

/** The body of a PATCH, for the documentation; {@link readPatch} checks it, with better words. */
export const PatchSchema = Type.Object(
  {
    name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    budget: Type.Optional(
      Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: MOST_CREDITS }), Type.Null()], {
        description: 'Credits for the whole batch, with at most 9 decimals; null for no limit.',
      }),
    ),
    metadata: Type.Optional(
      Type.Object({}, { additionalProperties: true, description: 'Takes the place of the old.' }),
    ),
  },
  { additionalProperties: false },
);
const FIELDS = Object.keys(PatchSchema.properties);

/** @throws {ProblemError} `invalid_request` with everything that is wrong. */
export function readPatch(body: unknown): Patch {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidRequest([
      {
        pointer: '',
        code: body === undefined ? 'required' : 'wrong_type',
        detail: `The body must be a JSON object with what is to change: ${FIELDS.join(', ')}.`,
      },
    ]);
  const problems: PartProblem[] = [];
  const given = collectOptions([{ kind: 'json', values: body as Record<string, unknown> }], {
    known: FIELDS,
    flags: [],
    problems,
  });
  const metadata = given.get('metadata');
  const values: Patch = {
    ...('name' in body ? { name: readName(given.get('name'), problems) ?? null } : {}),
    ...('budget' in body ? { budget: readBudget(given.get('budget'), problems) ?? null } : {}),
    ...('metadata' in body ? { metadata: readMetadata(readObject(metadata, problems), '/metadata', problems) } : {}),
  };
  if (problems.length > 0) throw invalidRequest(problems);
  return values;
}
