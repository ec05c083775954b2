import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { rowJobId } from '@renderyard/shared/batch/row';
import type { RowNow } from '@renderyard/shared/batch/row-status';
import { type Nanocredits, toCredits } from '@renderyard/shared/credits/amount';
import { cellOf, csvText, type Formulas } from './csv-text.ts';

/** Behind the columns of the upload. */
export const RESULT_COLUMNS = [
  'status',
  'image_url',
  'key',
  'seed',
  'cost',
  'attempts',
  'uncertain',
  'error_code',
  'error_detail',
] as const;

export interface ResultsCsv {
  readonly header: string;
  rows(rows: readonly RowNow[]): string;
}

/** The rows of a batch as they were given, with what became of each behind its own columns. */
export function resultsCsv(
  { id, columns }: Pick<BatchRecord, 'id' | 'columns'>,
  { publicUrl, formulas }: { readonly publicUrl: string; readonly formulas: Formulas },
): ResultsCsv {
  const cellsOf = ({ record, status, result }: RowNow): string[] => {
    const image = status === 'succeeded' ? result?.output?.[0] : undefined;
    const error = status === 'failed' ? result?.error : undefined;
    const ours: Record<(typeof RESULT_COLUMNS)[number], string> = {
      status,
      image_url: image === undefined ? '' : `${publicUrl}/v1/jobs/${rowJobId(id, record.row)}/image`,
      key: image?.key ?? '',
      seed: String(image?.seed ?? record.seed),
      cost: decimalCredits(result?.cost ?? 0),
      attempts: String(result?.attempts ?? 0),
      uncertain: String(result?.uncertain ?? 0),
      error_code: error?.code ?? '',
      error_detail: error?.detail ?? '',
    };
    const own = columns.map((_name, index) => cellOf(record.values[index]));
    return [...own, ...RESULT_COLUMNS.map((name) => ours[name])];
  };
  return {
    header: csvText([[...columns, ...RESULT_COLUMNS]], formulas),
    rows: (rows) => csvText(rows.map(cellsOf), formulas),
  };
}

/** Credits as a plain decimal, never with an exponent, which spreadsheets in some languages do not read. */
export function decimalCredits(cost: Nanocredits): string {
  return toCredits(cost)
    .toFixed(9)
    .replace(/\.?0+$/, '');
}
