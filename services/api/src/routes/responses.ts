import { type TSchema, Type } from 'typebox';
import { ProblemSchema } from '../errors/problem-document.ts';

/** A route's answers: those given, and a problem for every error. */
export function answers<S extends Readonly<Record<number, TSchema>>>(schemas: S) {
  return { ...schemas, '4xx': ProblemSchema, '5xx': ProblemSchema };
}

/** A page of a list. `next` goes into `after` to get the next one. */
export function listOf<S extends TSchema>(item: S) {
  return Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(item),
    has_more: Type.Boolean(),
    next: Type.Union([Type.String(), Type.Null()]),
  });
}
