import { BatchSchema, DryRunSchema } from '@renderyard/shared/batch/batch-view';
import type { BatchViewer } from '@renderyard/shared/batch/batch-viewer';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app-instance.ts';
import type { BatchFinder } from '../batches/batch-finder.ts';
import { BatchBodySchema, BatchQuerySchema, readBatchOptions } from '../batches/batch-options.ts';
import type { Importer } from '../batches/intake/importer.ts';
import { parseContentType, UPLOAD_TYPES } from '../batches/intake/upload-format.ts';
import { readUpload } from '../batches/read-upload.ts';
import { receiveUpload } from '../batches/receive-upload.ts';
import { type BatchSubmission, type SubmitBatchDeps, submitBatch } from '../batches/submit-batch.ts';
import { contentFingerprint } from '../batches/upload-content.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { isContinued, replay, resourceId, tellContent } from '../plugins/idempotency.ts';
import { originOf } from '../plugins/request-record.ts';
import { endBrokenUploads } from '../plugins/upload-rest.ts';
import type { OwnWebhookChecks } from '../webhooks/own-webhook.ts';
import { answers } from './responses.ts';

export interface BatchUploadDeps extends SubmitBatchDeps {
  readonly importer: Importer;
  readonly finder: BatchFinder;
  readonly viewer: BatchViewer;
  readonly webhooks: OwnWebhookChecks;
  /** Milliseconds without a byte after which a sender is given up. */
  readonly idleMs: number;
}

/** `POST /v1/batches`: 202 with the batch, or 200 with what it would be. The body is never held as a whole. */
export function batchUploadRoute(v1: App, deps: BatchUploadDeps): void {
  v1.register((app: App, _options, done) => {
    // Bodies of any type and size: the importer has its own bounds.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    endBrokenUploads(app);
    app.setErrorHandler<FastifyError>((error, request) => {
      if (error.code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') throw error;
      const type = JSON.stringify(request.headers['content-type']?.slice(0, 80));
      throw new ProblemError(
        'unsupported_format',
        `The Content-Type ${type} is no content type. Send ${UPLOAD_TYPES}.`,
      );
    });
    app.route({
      method: 'POST',
      url: '/batches',
      config: { makes: 'bat', isUpload: true },
      schema: {
        summary: 'Submit a batch',
        querystring: BatchQuerySchema,
        body: BatchBodySchema,
        response: answers({ 200: DryRunSchema, 202: BatchSchema }),
      },
      // The schemas document; options are checked with better words, rows one by one.
      validatorCompiler: () => () => true,
      handler: async (request, reply) => {
        await submit(deps, request, reply);
        return reply;
      },
    });
    done();
  });
}

async function submit(deps: BatchUploadDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const query = { kind: 'query', values: request.query as Readonly<Record<string, unknown>> } as const;
  // What the query alone gets wrong is told before the body is read.
  await readBatchOptions([query], deps.webhooks);
  const received = receiveUpload(request.raw, deps);
  const upload = {
    body: received.body,
    contentType: request.headers['content-type'],
    contentEncoding: request.headers['content-encoding'],
    bodyOptions: parseContentType(request.headers['content-type']).type === 'multipart/form-data' ? 'form' : 'json',
  } as const;
  const id = resourceId(request);
  request.record.batch_id = id;
  const read: BatchSubmission['read'] = (nonce, ours) =>
    readUpload(deps.importer, upload, {
      ...{ batch: id, upload: nonce, query, webhooks: deps.webhooks },
      signal: ours === undefined ? received.signal : AbortSignal.any([received.signal, ours]),
    });
  try {
    if (request.answeredBefore !== null) {
      const { request: again, result } = await read(undefined);
      if (contentFingerprint(again, result.source) !== request.answeredBefore.content)
        throw new ProblemError('idempotency_key_reused');
      return replay(reply, request.answeredBefore.answer);
    }
    const submitted = await submitBatch(deps, {
      id,
      account: request.account,
      origin: originOf(request),
      continued: isContinued(request),
      read,
      tell: (content) => tellContent(request, content),
    });
    if (submitted.kind === 'dry_run')
      return reply.code(200).send(await deps.viewer.viewDryRun(submitted.upload, request.account));
    const view = await deps.viewer.viewAccepted(submitted.batch, () => deps.finder.read(submitted.batch.record.id));
    return reply.code(202).header('location', view.urls.self).send(view);
  } catch (error) {
    // What became of the body is the cause of whatever else failed.
    throw received.problem ?? error;
  } finally {
    received.stop();
  }
}
