/** How much a graph may take at a time. */

/** Numbers of one item, 64 MiB of them: a package whose items are larger is refused. */
export const maxItemFloats = 16 * 1024 * 1024;
