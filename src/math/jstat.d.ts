/** The few functions of jstat that are used here; the package ships no types. */
declare module "jstat" {
  interface Distribution<Parameters extends readonly number[]> {
    cdf(x: number, ...parameters: Parameters): number;
    inv(p: number, ...parameters: Parameters): number;
  }
  const jStat: {
    readonly normal: Distribution<readonly [mean: number, sd: number]>;
    readonly studentt: Distribution<readonly [degreesOfFreedom: number]>;
    readonly chisquare: Distribution<readonly [degreesOfFreedom: number]>;
    readonly centralF: Distribution<readonly [numerator: number, denominator: number]>;
  };
  export default jStat;
}
