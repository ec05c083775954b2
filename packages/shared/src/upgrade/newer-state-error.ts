import { VERSION } from '../version.ts';

/** Thrown when Redis or the store holds what only a newer version understands. Nothing was changed. */
export class NewerStateError extends Error {
  override readonly name = 'NewerStateError';

  /** @param of.writtenBy the version of Renderyard that wrote it, if that is known */
  constructor(of: { where: 'Redis' | 'the store'; found: number; known: number; writtenBy: string | undefined }) {
    const writer = of.writtenBy === undefined ? 'a newer Renderyard' : `Renderyard ${of.writtenBy}`;
    super(
      `${of.where === 'Redis' ? 'Redis' : 'The store'} holds data of version ${of.found}, written by ${writer}; this is Renderyard ${VERSION}, which knows versions up to ${of.known}. ` +
        `It has changed nothing. Start ${of.writtenBy === undefined ? 'the version that wrote it' : writer} or a newer one here.`,
    );
  }
}
