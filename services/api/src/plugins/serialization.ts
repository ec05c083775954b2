import { type FastifySerializerCompiler, fastify } from 'fastify';
import type { TSchema } from 'typebox';

type Serializer = ReturnType<FastifySerializerCompiler<TSchema>>;

/** Fastify makes its compiler once a route has a schema, and does not export it. */
async function takeFastifysCompiler(): Promise<FastifySerializerCompiler<TSchema>> {
  const app = fastify();
  app.get('/', { schema: { response: { 200: {} } } }, () => null);
  await app.ready();
  const { serializerCompiler } = app;
  await app.close();
  if (serializerCompiler === undefined) throw new Error('Fastify has made no compiler of serializers.');
  return serializerCompiler;
}

const compile = await takeFastifysCompiler();
/** By the JSON of its schema. */
const compiled = new Map<string, Serializer>();

/**
 * Fastify's own compiler, but it compiles what is alike once: nearly all routes answer with the same problems, and to
 * compile these for each of them is most of what a start takes.
 */
export const compileSerializer: FastifySerializerCompiler<TSchema> = (route) => {
  const json = JSON.stringify(route.schema);
  const known = compiled.get(json);
  if (known !== undefined) return known;
  const serializer = compile(route);
  compiled.set(json, serializer);
  return serializer;
};
