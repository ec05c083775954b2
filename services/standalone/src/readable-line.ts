const LEVELS: Readonly<Record<number, string>> = { 40: 'warning', 50: 'error', 60: 'fatal' };
/** Of every line, or of no interest to a person at a terminal. */
const LEFT_OUT: ReadonlySet<string> = new Set(['level', 'time', 'service', 'msg', 'pid', 'hostname']);
const MAX_LENGTH = 500;

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/**
 * What a person at a terminal should see of a service's log line, in one line; nothing, if it is no warning or worse.
 * Text that is not a log entry, such as the last words of a crash, is shown as it is.
 */
export function toReadableLine(service: string, line: string): string | undefined {
  let entry: Readonly<Record<string, unknown>> | undefined;
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed === 'object' && parsed !== null) entry = parsed as Readonly<Record<string, unknown>>;
  } catch {
    // Not a log entry.
  }
  if (entry === undefined) return line.trim() === '' ? undefined : `${service}: ${line.slice(0, MAX_LENGTH)}`;
  const level = LEVELS[Number(entry.level)];
  if (level === undefined) return undefined;
  const facts = Object.entries(entry)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name}=${describe(value)}`);
  const time = /T(\d\d:\d\d:\d\d)/.exec(String(entry.time))?.[1] ?? '';
  const text = `${time} ${service} ${level}: ${[String(entry.msg ?? ''), ...facts].join(' ')}`;
  return text.trim().replace(/\s+/g, ' ').slice(0, MAX_LENGTH);
}
