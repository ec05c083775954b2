/** What is printed when all of it runs: where it is, and how to try it. */
export function greet(options: {
  readonly url: string;
  readonly dataDir: string;
  readonly simulate: boolean;
  readonly needsKey: boolean;
}): string {
  const { url, dataDir, simulate, needsKey } = options;
  const key = needsKey ? "\n    -H 'authorization: Bearer YOUR_KEY' \\" : '';
  return `
Renderyard runs: ${url}
Try it:

  curl -s '${url}/v1/jobs' -H 'content-type: application/json' \\${key}
    -H 'prefer: wait=30' -d '{"input":{"prompt":"a lighthouse at dawn"}}'

Or a whole file of prompts:

  curl -s '${url}/v1/batches' \\${key}
    -F 'prompt_template={{subject}}, {{style}}, {{light}}' -F file=@examples/prompts.csv

${simulate ? 'SIMULATION: no SEGMIND_API_KEY is set. Images are drawn by the simulator; nothing is rendered, nothing costs.\n' : ''}Data and logs lie in ${dataDir}. Ctrl-C stops all of it.
`;
}
