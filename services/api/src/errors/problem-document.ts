import { Type } from 'typebox';
import { API_ERRORS } from './catalogue.ts';
import type { ProblemError } from './problem-error.ts';

/** The media type of RFC 9457. */
export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** The body of every error. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: '`urn:renderyard:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What failed, why, and what would be right.' }),
    instance: Type.String({ description: 'The path that was asked for.' }),
    code: Type.String({ enum: Object.keys(API_ERRORS) }),
    request_id: Type.String({ description: 'Stands in the log of the server as well.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.Optional(Type.String()),
          line: Type.Optional(Type.Integer()),
          column: Type.Optional(
            Type.Union([Type.Integer(), Type.String(), Type.Null()], {
              description: 'Of JSON a number, from 1; of an upload the name of the column, null for the whole row.',
            }),
          ),
          code: Type.String(),
          value: Type.Optional(Type.Union([Type.String(), Type.Null()])),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { description: 'A problem document (RFC 9457).' },
);

/** The problem as JSON text. `path` is without its query, which may hold a signature. */
export function problemDocument(problem: ProblemError, path: string, requestId: string): string {
  return JSON.stringify({
    type: `urn:renderyard:error:${problem.code}`,
    title: API_ERRORS[problem.code].title,
    status: problem.statusCode,
    detail: problem.message.toWellFormed(),
    instance: path.slice(0, 500),
    code: problem.code,
    request_id: requestId,
    ...(problem.options.errors === undefined ? {} : { errors: problem.options.errors }),
    ...problem.options.members,
  });
}

/** The headers that go with the problem, less the content type. */
export function problemHeaders(problem: ProblemError): Record<string, string> {
  const { headers, retryAfter } = problem.options;
  return { ...headers, ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }) };
}
