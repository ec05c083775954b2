import { API_ERRORS, type ApiErrorCode, type PartCode } from './catalogue.ts';

/** One thing that is wrong with a request, and where. */
export interface PartProblem {
  /** JSON pointer (RFC 6901) into the body, or `?name` for a query parameter. */
  readonly pointer?: string;
  /** Both from 1, for a body that is no JSON. */
  readonly line?: number;
  readonly column?: number;
  readonly code: PartCode;
  /** What is wrong and what would be right. */
  readonly detail: string;
}

export interface ProblemOptions {
  readonly errors?: readonly PartProblem[];
  /** Seconds after which asking again makes sense. */
  readonly retryAfter?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Thrown to answer with a problem of the catalogue. The message is public: it is the `detail` that the client reads. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: ApiErrorCode;
  readonly statusCode: number;
  readonly options: ProblemOptions;

  constructor(code: ApiErrorCode, detail: string = API_ERRORS[code].text, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.statusCode = API_ERRORS[code].status;
    this.options = options;
  }
}

/** At most this many problems of one request are told. */
export const MOST_PROBLEMS = 20;

/** A request whose parts are wrong. One problem is its own detail; of several the number is told. */
export function invalidRequest(problems: readonly PartProblem[]): ProblemError {
  const [first] = problems;
  const detail =
    problems.length === 1 && first !== undefined
      ? first.detail
      : `${problems.length} things are wrong with the request; \`errors\` has them.`;
  return new ProblemError('invalid_request', detail, { errors: problems.slice(0, MOST_PROBLEMS) });
}

/** Appends a name to a JSON pointer, escaped as RFC 6901 asks; a very long name is cut. */
export function pointer(parent: string, name: string | number): string {
  const text = String(name).slice(0, 80).toWellFormed();
  return `${parent}/${text.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
