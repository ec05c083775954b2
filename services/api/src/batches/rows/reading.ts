import { type Parameter, parametersOf } from '@renderyard/shared/model/parameter';
import { UploadError } from '../upload-error.ts';
import { type BoundPiece, bindPiece, isOwnName } from './bound-template.ts';
import { type ColumnRoles, columnRoles, foldName } from './column-roles.ts';
import { createCostClasses } from './cost-classes.ts';
import { unknownColumns } from './csv-header.ts';
import { type Defaults, readDefaults } from './defaults.ts';
import { splitKeyTemplate } from './key-template.ts';
import type { RowReaderSetup, RowsRead } from './read.ts';
import { createReport, type Report } from './report.ts';
import { createRowKeys } from './row-keys.ts';
import { createRowMaker, PROMPT, type RowMaker, type RowPlaces } from './row-maker.ts';
import { createSeedDraw } from './seed-draw.ts';
import { createSeenIdsAndKeys } from './seen-texts.ts';
import { parseTemplate, type TemplatePiece } from './template.ts';

/** The options of an upload, read, and all that does not depend on its columns. */
export interface Reading {
  readonly setup: RowReaderSetup;
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly roles: ColumnRoles;
  readonly defaults: Defaults;
  readonly promptPieces: readonly TemplatePiece[] | undefined;
  /** The key template's folders and, last, its name. */
  readonly keyNames: readonly (readonly TemplatePiece[])[] | undefined;
  /** The parameter that a template writes, which therefore no column does. */
  readonly templated: string | undefined;
  /** Names of columns that templates have: folded, and as they were written. */
  readonly used: ReadonlyMap<string, string>;
  readonly keysNeedId: boolean;
  readonly report: Report;
}

/** @throws {UploadError} `invalid_columns`, `invalid_defaults`, `invalid_template` */
export function prepareReading(setup: RowReaderSetup): Reading {
  const { options } = setup;
  const parameters = parametersOf(setup.model);
  const roles = columnRoles(parameters, options.columns);
  const defaults = readDefaults(parameters, options.defaults);
  const { prompt_template: forPrompt, key_template: forKeys } = options;
  const promptPieces = forPrompt === undefined ? undefined : parseTemplate('prompt_template', forPrompt);
  const keyNames =
    forKeys === undefined ? undefined : splitKeyTemplate(forKeys, parseTemplate('key_template', forKeys));
  const templated = promptPieces === undefined ? undefined : PROMPT;
  if (templated !== undefined && defaults.base[templated] !== undefined) {
    const detail = `The defaults have a ${templated}, but prompt_template writes it in every row. Leave one of them out.`;
    const problems = [{ column: templated, code: 'duplicate_name', detail }];
    throw new UploadError('invalid_defaults', detail, { problems });
  }

  const used = new Map<string, string>();
  const ownNames = new Set<string>();
  for (const [pieces, keys] of [[promptPieces ?? [], false] as const, [(keyNames ?? []).flat(), true] as const]) {
    for (const piece of pieces) {
      if ('text' in piece) continue;
      const folded = foldName(piece.name);
      if (keys && isOwnName(folded)) ownNames.add(folded);
      else used.set(folded, piece.name);
    }
  }
  return {
    setup,
    parameters,
    roles,
    defaults,
    promptPieces,
    keyNames,
    templated,
    used,
    keysNeedId: ownNames.has('id'),
    report: createReport(),
  };
}

/**
 * The maker of the rows, once columns can be found.
 *
 * @throws {UploadError} `unknown_column`
 */
export function prepareMaker(
  reading: Reading,
  places: RowPlaces,
  named: (folded: string) => readonly number[] | undefined,
  mayHaveIds: boolean,
): RowMaker {
  const { setup, parameters, defaults, promptPieces, keyNames, report } = reading;
  const bind = (pieces: readonly TemplatePiece[], forKeys: boolean) =>
    pieces.map((piece): BoundPiece => {
      const bound = bindPiece(piece, forKeys, named);
      if (bound === undefined) throw unknownColumns(['name' in piece ? piece.name : ''], places.columns);
      return bound;
    });
  const seen = createSeenIdsAndKeys();
  const boundNames = keyNames?.map((name) => bind(name, true));
  return createRowMaker({
    parameters,
    places,
    defaults,
    promptTemplate: promptPieces === undefined ? undefined : bind(promptPieces, false),
    keyTemplate: boundNames?.flat(),
    keys: createRowKeys(boundNames, mayHaveIds, report, seen.keys),
    classes: createCostClasses(setup.model, defaults.base, setup.creditEstimate),
    report,
    ids: seen.ids,
    seed: setup.seed ?? createSeedDraw(),
  });
}

/** What has come of the upload. */
export function rowsRead(reading: Reading, places: RowPlaces, maker: RowMaker): RowsRead {
  return {
    columns: places.columns,
    text: places.text,
    base: reading.defaults.base,
    report: reading.report.result(),
    classes: maker.classes.list(),
    preview: maker.preview,
    rows: maker.rows,
    rejected: reading.report.rejected,
  };
}
