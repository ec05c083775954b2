import { DEFAULT_MODEL, findModel, MODELS, type Model } from '@renderyard/shared/model/model';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { answers, listOf } from './responses.ts';

const ModelSchema = Type.Object({
  slug: Type.String(),
  object: Type.Literal('model'),
  title: Type.String(),
  default: Type.Boolean({ description: 'Whether a job that names no model gets this one.' }),
  parameters: Type.Object({}, { additionalProperties: true, description: 'JSON Schema of `input`.' }),
});
const ModelParams = Type.Object({ slug: Type.String({ maxLength: 4096 }) });

/** `GET /v1/models` and `GET /v1/models/{slug}`: what can be rendered with, and by which parameters. */
export function modelsRoutes(app: App): void {
  const config = { needsNoRedis: true };
  app.get(
    '/models',
    { config, schema: { summary: 'List models', response: answers({ 200: listOf(ModelSchema) }) } },
    async () => ({ object: 'list' as const, data: MODELS.map(view), has_more: false, next: null }),
  );

  app.get(
    '/models/:slug',
    { config, schema: { summary: 'Read a model', params: ModelParams, response: answers({ 200: ModelSchema }) } },
    async (request) => {
      const model = findModel(request.params.slug);
      if (model === undefined)
        throw new ProblemError(
          'not_found',
          `There is no such model. There are: ${MODELS.map((m) => m.slug).join(', ')}.`,
        );
      return view(model);
    },
  );
}

function view(model: Model) {
  return {
    slug: model.slug,
    object: 'model' as const,
    title: model.title,
    default: model.slug === DEFAULT_MODEL,
    parameters: asGiven(model),
  };
}

/** The schema of what users give, which is less than what is sent: defaults are filled in and a seed is drawn. */
function asGiven(model: Model): Record<string, unknown> {
  const properties = model.parameters.properties as unknown as Record<string, { readonly default?: unknown }>;
  const seed = properties[model.seed];
  return {
    ...model.parameters,
    properties: { ...properties, [model.seed]: { anyOf: [seed, { const: 'random' }] } },
    required: Object.keys(properties).filter((name) => name !== model.seed && properties[name]?.default === undefined),
  };
}
