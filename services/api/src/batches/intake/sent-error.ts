import { describeError } from '@renderyard/shared/describe-error';
import { StoreError, type StoreErrorKind } from '@renderyard/shared/store/store-error';
import { UploadError, type UploadErrorCode, type UploadErrorPlace } from '../upload-error.ts';

/** An error in what can be sent between threads: classes do not survive it. */
export type SentError =
  | {
      readonly kind: 'upload';
      readonly code: UploadErrorCode;
      readonly message: string;
      readonly place: Omit<UploadErrorPlace, 'cause'>;
    }
  | { readonly kind: 'store'; readonly storeKind: StoreErrorKind; readonly message: string }
  | { readonly kind: 'other'; readonly described: ReturnType<typeof describeError> };

export function sendError(error: unknown): SentError {
  if (error instanceof UploadError) {
    const { code, message, line, column, value, problems } = error;
    return { kind: 'upload', code, message, place: { line, column, value, problems } };
  }
  if (error instanceof StoreError) return { kind: 'store', storeKind: error.kind, message: error.message };
  return { kind: 'other', described: describeError(error instanceof Error ? error : new Error(String(error))) };
}

/** The error as it was thrown; one that no client should read the words of becomes `import_failed`. */
export function receiveError(sent: SentError): Error {
  switch (sent.kind) {
    case 'upload':
      return new UploadError(sent.code, sent.message, sent.place);
    case 'store':
      return new StoreError(sent.storeKind, sent.message);
    case 'other':
      return new UploadError('import_failed', undefined, {
        cause: new Error(`An import failed in its thread: ${JSON.stringify(sent.described)}`),
      });
  }
}
