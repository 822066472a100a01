/** The size in bytes that a client has declared among the ESMTP parameters of MAIL; undefined without one. RFC 1870. */
export function declaredSize(params: readonly string[]): number | undefined {
  for (const param of params) {
    const digits = /^SIZE=(\d{1,15})$/i.exec(param)?.[1];
    if (digits !== undefined) return Number(digits);
  }
  return undefined;
}
