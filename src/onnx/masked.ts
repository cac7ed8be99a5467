/** What a masked score gets: so low that its weight is exactly 0, and still finite. */
export const masked = -1e30;
