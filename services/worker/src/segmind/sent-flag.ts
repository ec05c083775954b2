import type { Dispatcher } from 'undici';

/** Told when a request begins to be written to a connected socket. */
export type OnSent = () => void;

/**
 * Tells a failed call that never left from one that may have been carried out: undici calls `onRequestStart` just
 * before it writes the request's head to a connected socket (undici lib/dispatcher/client-h1.js, `writeH1`).
 */
export function noteSent(onSent: OnSent): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const noted: Dispatcher.DispatchHandler = {
      onRequestStart: (controller, context) => {
        onSent();
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => {
        leaveOutTraces();
        handler.onResponseEnd?.(...args);
      },
      onResponseError: (...args) => handler.onResponseError?.(...args),
    };
    return dispatch(options, noted);
  };
}

/**
 * Where a connection is used for one call, undici ends it with an error that nobody sees, in the same breath as the
 * answer's end (client-h1.js, `onMessageComplete`); to write its stack trace costs as much as parsing the answer.
 */
function leaveOutTraces(): void {
  const { stackTraceLimit } = Error;
  if (stackTraceLimit === 0) return;
  Error.stackTraceLimit = 0;
  process.nextTick(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });
}
