import { Type } from 'typebox';

/** The path of a job's routes. What has not the form of an id is not found. */
export const JobParams = Type.Object({ id: Type.String({ maxLength: 4096 }) });
