/** Thrown when the demo cannot do its work. The message is for the person who started it, and says what would help. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}
