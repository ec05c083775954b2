import { STATUS_CODES } from 'node:http';

/** A whole answer before it is sent. Header names may stand more than once; `content-length` is added when it is sent. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** Why the upstream answers 406: its message alone tells these apart. */
export const NOT_ACCEPTABLE = {
  credits: 'Not enough credits. Please add credits to your account.',
  content_type: 'Invalid content type: the request must have the content type application/json.',
  parameter: 'Invalid value for a parameter.',
  spend_limit: 'Team spend limit reached. Ask the owner of your team to raise it.',
} as const;

const MESSAGES: Readonly<Record<number, string>> = {
  400: 'Bad request.',
  401: 'Invalid API key.',
  403: 'This API key is not allowed to use this model.',
  404: 'Model not found.',
  406: NOT_ACCEPTABLE.credits,
  410: 'This model has been retired.',
  413: 'The request is too large.',
  422: 'Invalid parameters.',
  429: 'Rate limit exceeded.',
  500: 'The server had some issue.',
};

/** Statuses whose body is HTML: the wrong verb, and whatever a gateway answers in the model's place. */
const HTML = new Set([405, 408, 502, 503, 504, 520, 521, 522, 523, 524]);

/** A JSON answer with exactly this text. */
export function jsonAnswer(status: number, text: string): Answer {
  return { status, headers: [['content-type', 'application/json']], body: Buffer.from(text) };
}

/** The error body that the upstream has for its statuses: `{"error":"<message>"}`. */
export function errorAnswer(status: number, message: string): Answer {
  return jsonAnswer(status, JSON.stringify({ error: message }));
}

/** A page such as a gateway sends. */
export function htmlAnswer(status: number, heading?: string): Answer {
  const title = heading ?? `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  const page = `<!DOCTYPE html>\n<html><head><title>${title}</title></head>\n<body><center><h1>${title}</h1></center></body></html>\n`;
  return { status, headers: [['content-type', 'text/html; charset=utf-8']], body: Buffer.from(page) };
}

/** The answer that goes with a status when nothing more is known about it. */
export function statusAnswer(status: number): Answer {
  if (HTML.has(status)) return htmlAnswer(status);
  return errorAnswer(status, MESSAGES[status] ?? STATUS_CODES[status] ?? 'Error');
}
