import type { ProcessLike } from './lifecycle.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Ends a process at SIGTERM and SIGINT, with code 0, as long as it has nothing to bring to an end. The first process of
 * a container cannot be told to stop without a handler of its own (pid_namespaces(7)), and loading a service takes long
 * enough to be met: so this comes first, and what is loaded next calls what it returns once it has its own handlers.
 */
export function endOnSignals(process: ProcessLike & { off(event: string, listener: () => void): unknown }): () => void {
  const end = () => process.exit(0);
  for (const signal of SIGNALS) process.on(signal, end);
  return () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
}
