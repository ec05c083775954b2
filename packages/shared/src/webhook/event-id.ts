import { createHash } from 'node:crypto';

/**
 * The id of an event, as tell.lua makes it: the same for the same happening, whoever tells of it and however often.
 * @param subject the job or batch
 * @param run which of several such events of the subject
 */
export function eventId(subject: string, type: string, run: string | number): string {
  return `evt_${createHash('sha1').update(`${subject} ${type} ${run}`).digest('hex').slice(0, 26)}`;
}
