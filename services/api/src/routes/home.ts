import { createHash } from 'node:crypto';
import type { App } from '../app-instance.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}';

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Renderyard</title>
<style>${STYLE}</style>
<h1>Renderyard</h1>
<p>A queued batch-rendering service: prompts in, images in your bucket, every credit accounted for.</p>
<ul>
<li><a href="/health/ready">Health</a>: can it work, and if not, why</li>
<li><a href="/openapi.json">OpenAPI</a>: every route, as a document for tools</li>
<li><code>POST /v1/jobs</code> takes <code>{"input":{"prompt":"A lighthouse at dawn"}}</code></li>
<li><code>GET /v1/models</code> tells the parameters</li>
</ul>
</html>
`;

const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'`;

/** `GET /`: what this is, for whoever opens the address in a browser. */
export function homeRoute(app: App): void {
  app.get('/', async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', POLICY).send(PAGE),
  );
}
