/** An event of a stream of `text/event-stream`. */
export interface StreamedEvent {
  /** Neither it nor the id may hold a line break. */
  readonly event: string;
  /** Where to go on after it; left out, the one before stays. */
  readonly id?: string | undefined;
  readonly data: string;
}

/**
 * Writes an event as the HTML standard, "Server-sent events", has it read: every line of the data is a field of its own.
 */
export function eventText({ event, id, data }: StreamedEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}${lines.join('')}\n`;
}

/** How long a client waits before it connects again. @param ms milliseconds. */
export function retryText(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** A comment that keeps the connection alive; an id goes with it where entries of others have passed meanwhile. */
export function heartbeatText(id?: string): string {
  return `: heartbeat\n${id === undefined ? '' : `id: ${id}\n`}\n`;
}
