/** Columns of an upload, at most: CSV's header, or the different keys of all JSON items. */
export const MOST_COLUMNS = 256;
/** Decoded bytes of a JSON document, which is read as a whole. Beside it, its values take some ten times as much. */
export const MOST_JSON_BYTES = 32 * 1024 * 1024;
/** A row longer than MAX_ROW_BYTES is rejected up to so many times that length; beyond it nobody knows where it ends. */
export const REJECTABLE_LENGTH = 2;
/** Bytes that are read at a time: each limit is noticed at most so many bytes after it was crossed. */
export const SLICE_BYTES = 64 * 1024;
