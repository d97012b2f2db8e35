// Needle paths: every path from each entry to each tip through the packed obstacle raster.
//
// Twin of irplan/compute/cpu/rays.py (`paths_of_entries`), which says what the arrays mean.  `rays_needle`,
// `rays_walk` and `rays_judge` have one thread a path, `rays_entries` one block an entry, whose
// threads share the tips; the best of a block is the one a single thread going through the tips in
// order would find.  All in double precision, in the order of the twin.

#define BLOCK 64
#define RULE_BITS 0x07FF
#define OUTSIDE_BIT (1 << 10)
#define ORGAN_BIT (1 << 11)
#define TARGET_BIT (1 << 12)
#define OFF_GRID_BIT (1 << 13)
#define UNKNOWN_BIT (1 << 14)
#define RULE_OUTSIDE 10
#define RULE_LENGTH 11
#define RULE_TILT 12
#define RULE_BELOW 13
#define RULE_ORGAN 14
#define RULE_CAPSULE 15
#define RULE_UNKNOWN 16
#define RULES 17
#define TESTED (1u << 30)
#define WALKED (1u << 31)
#define FAR (1u << 29)
#define TOUCH 1e-9
#ifdef __CUDACC__
#define OUT_OF_LINE __noinline__
#else
#define OUT_OF_LINE
#endif
#define DEGREES 57.29577951308232

// settings: frame (6), limits (9), weights (8), hard distance and soft width of 16 groups (32)
#define FRAME 0
#define LIMITS 6
#define WEIGHTS 15
#define GROUPS 23

struct Step { int at, side; double next, gap; };

__device__ static inline double larger(double a, double b) { return a > b ? a : b; }
__device__ static inline double smaller(double a, double b) { return a < b ? a : b; }

__device__ static inline Step step_of(double x, double d)
{
    Step s;
    const double at = floor(x);
    s.at = (int)at;
    s.side = d > 0.0 ? 1 : -1;
    s.gap = d != 0.0 ? fabs(1.0 / d) : 1e30;
    s.next = d != 0.0 ? (d > 0.0 ? at + 1.0 - x : x - at) * s.gap : 1e30;
    return s;
}

// What a thread knows of its path before it walks: geometry in mm and degrees.
struct Way { double x[3], d[3], size; };

__device__ static inline Way way_of(const double* __restrict__ entry,
    const double* __restrict__ tip, int e, int m)
{
    Way w;
    for (int k = 0; k < 3; ++k) {
        w.x[k] = entry[3 * e + k] + 0.5;
        w.d[k] = tip[3 * m + k] + 0.5 - w.x[k];
    }
    w.size = sqrt(w.d[0] * w.d[0] + w.d[1] * w.d[1] + w.d[2] * w.d[2]);
    return w;
}

// One segment through every voxel it crosses: see `_walk`.  `met`: mm in what is forbidden, mm of
// healthy organ, depth of the organ (-1: never), the sweep's deficit.
__device__ static void walk(const unsigned int* __restrict__ raster, int n0, int n1, int n2,
    const Way way, const double* __restrict__ settings, unsigned int* seen_out,
    unsigned int* soft_out, double* met)
{
    Step a = step_of(way.x[0], way.d[0]), b = step_of(way.x[1], way.d[1]);
    Step c = step_of(way.x[2], way.d[2]);
    const double length = way.size * settings[LIMITS];
    const double skip = length > 0.0 ? settings[LIMITS + 1] / length : 0.0;
    const double tip_error = settings[WEIGHTS + 6], slope = settings[WEIGHTS + 7];
    int seen = 0, worst = 0, group = 0;
    double blocked = 0.0, healthy = 0.0, organ_at = -1.0, sweep = 0.0;
    bool at_target = false;
    double t = 0.0;
    while (t < 1.0) {
        const double next = smaller(smaller(a.next, smaller(b.next, c.next)), 1.0);
        if (next - t > TOUCH) {
            if (a.at < 0 || b.at < 0 || c.at < 0 || a.at >= n0 || b.at >= n1 || c.at >= n2) {
                seen |= OFF_GRID_BIT;
            } else {
                const unsigned int word = raster[(a.at * n1 + b.at) * n2 + c.at];
                int low = (int)(word & 0xFFFFu);
                if (t < skip) low &= ~OUTSIDE_BIT;
                seen |= low;
                const double piece = (next - t) * length;
                if (low & RULE_BITS) blocked += piece;
                if ((low & ORGAN_BIT) && organ_at < 0.0) organ_at = t * length;
                if (!at_target) {
                    if ((low & ORGAN_BIT) && !(low & TARGET_BIT)) healthy += piece;
                    if (low & TARGET_BIT) at_target = true;
                }
                const int deficit = (int)((word >> 16) & 0xFFu);
                if (deficit) {
                    const int g = (int)((word >> 24) & 0xFu);
                    if (deficit > worst) { worst = deficit; group = g; }
                    const double* size = settings + GROUPS + 2 * g;
                    const double error = tip_error - (1.0 - next) * length * slope;
                    const double over = error - (1.0 - deficit / 255.0) * size[1];
                    if (over > 0.0)
                        sweep = larger(sweep, smaller(1.0, over / larger(1e-6, size[0])));
                }
            }
        }
        t = next;
        if (t >= 1.0) break;
        if (a.next <= b.next && a.next <= c.next) { a.at += a.side; a.next += a.gap; }
        else if (b.next <= c.next) { b.at += b.side; b.next += b.gap; }
        else { c.at += c.side; c.next += c.gap; }
    }
    *seen_out = (unsigned int)seen;
    *soft_out = (unsigned int)((worst << 8) | group);
    met[0] = blocked;
    met[1] = healthy;
    met[2] = organ_at;
    met[3] = sweep;
}

// Trilinear value at a fractional index, which is moved into the array.
__device__ static OUT_OF_LINE double sample(const float* __restrict__ f, int n0, int n1, int n2, double x0,
    double x1, double x2)
{
    x0 = smaller(larger(x0, 0.0), n0 - 1.0);
    x1 = smaller(larger(x1, 0.0), n1 - 1.0);
    x2 = smaller(larger(x2, 0.0), n2 - 1.0);
    const int i = (int)x0, j = (int)x1, k = (int)x2;
    const double a = x0 - i, b = x1 - j, c = x2 - k;
    const int ii = i + 1 < n0 ? i + 1 : n0 - 1, jj = j + 1 < n1 ? j + 1 : n1 - 1;
    const int kk = k + 1 < n2 ? k + 1 : n2 - 1;
    const float *near = f + i * n1 * n2, *far = f + ii * n1 * n2;
    const double low = (near[j * n2 + k] * (1 - c) + near[j * n2 + kk] * c) * (1 - b)
        + (near[jj * n2 + k] * (1 - c) + near[jj * n2 + kk] * c) * b;
    const double high = (far[j * n2 + k] * (1 - c) + far[j * n2 + kk] * c) * (1 - b)
        + (far[jj * n2 + k] * (1 - c) + far[jj * n2 + kk] * c) * b;
    return low * (1 - a) + high * a;
}

// Angle to the organ's surface, degrees: see `_capsule`.
__device__ static OUT_OF_LINE double capsule(const float* __restrict__ f, int n0, int n1, int n2,
    const double* at, const double* u)
{
    double v[3];
    for (int axis = 0; axis < 3; ++axis) {
        const double e0 = axis == 0, e1 = axis == 1, e2 = axis == 2;
        v[axis] = sample(f, n0, n1, n2, at[0] + e0, at[1] + e1, at[2] + e2)
            - sample(f, n0, n1, n2, at[0] - e0, at[1] - e1, at[2] - e2);
    }
    const double size = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (size <= 1e-6) return 90.0;
    const double cosine = fabs(v[0] * u[0] + v[1] * u[1] + v[2] * u[2]) / size;
    return asin(smaller(1.0, cosine)) * DEGREES;
}

// Rules on the needle itself: `rule` of each path (and TESTED), `lack` how far it is off them.
extern "C" __global__ void rays_needle(
    const double* __restrict__ entry, const double* __restrict__ tip,
    const double* __restrict__ settings, int entries, int tips, unsigned int* rule, double* lack)
{
    const long long p = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (p >= (long long)entries * tips) return;
    const double* limits = settings + LIMITS;
    const Way w = way_of(entry, tip, (int)(p / tips), (int)(p % tips));
    const double length = w.size * limits[0];
    unsigned int bits = 0u;
    double off = 0.0;
    if (length > 0.0) {
        const double u[3] = {w.d[0] / w.size, w.d[1] / w.size, w.d[2] / w.size};
        const double z = settings[0] * u[0] + settings[1] * u[1] + settings[2] * u[2];
        const double y = settings[3] * u[0] + settings[4] * u[1] + settings[5] * u[2];
        const double tilt = fabs(asin(smaller(1.0, larger(-1.0, z))) * DEGREES);
        const double below = -(asin(smaller(1.0, larger(-1.0, y))) * DEGREES);
        bits = TESTED;
        if (length > limits[2]) { bits |= 1u << RULE_LENGTH; off += length - limits[2]; }
        if (tilt > limits[3]) { bits |= 1u << RULE_TILT; off += tilt - limits[3]; }
        if (below > limits[4]) { bits |= 1u << RULE_BELOW; off += below - limits[4]; }
    }
    if (length > 1.5 * limits[2]) bits = FAR;
    rule[p] = bits;
    lack[p] = off;
}

// What the paths that keep those rules meet: `seen` bits, `soft`, and `met` (paths, 4).
extern "C" __global__ void __launch_bounds__(BLOCK, 16) rays_walk(
    const unsigned int* __restrict__ raster, const double* __restrict__ entry,
    const double* __restrict__ tip, const double* __restrict__ settings, int entries, int tips,
    int n0, int n1, int n2, const unsigned int* __restrict__ rule, unsigned int* seen,
    unsigned int* soft, double* met)
{
    const long long p = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (p >= (long long)entries * tips || rule[p] != TESTED) return;
    walk(raster, n0, n1, n2, way_of(entry, tip, (int)(p / tips), (int)(p % tips)), settings,
        seen + p, soft + p, met + 4 * p);
}

// Rules and cost from what was met.
extern "C" __global__ void __launch_bounds__(BLOCK, 16) rays_judge(
    const float* __restrict__ organ, const double* __restrict__ entry,
    const double* __restrict__ tip, const double* __restrict__ settings, int entries, int tips,
    int m0, int m1, int m2, double organ_step, const unsigned int* __restrict__ seen,
    const unsigned int* __restrict__ soft, const double* __restrict__ met, unsigned int* rule,
    double* lack, double* cost)
{
    const long long p = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (p >= (long long)entries * tips || rule[p] != TESTED) return;
    const double *limits = settings + LIMITS, *weights = settings + WEIGHTS, *own = met + 4 * p;
    const Way w = way_of(entry, tip, (int)(p / tips), (int)(p % tips));
    const double length = w.size * limits[0];
    const double u[3] = {w.d[0] / w.size, w.d[1] / w.size, w.d[2] / w.size};
    const double z = settings[0] * u[0] + settings[1] * u[1] + settings[2] * u[2];
    const double tilt = fabs(asin(smaller(1.0, larger(-1.0, z))) * DEGREES);
    unsigned int bits = seen[p] & 0x3FFu;
    double off = own[0];
    if (seen[p] & (OUTSIDE_BIT | OFF_GRID_BIT)) bits |= 1u << RULE_OUTSIDE;
    if (seen[p] & OFF_GRID_BIT) off += limits[2];
    double sum = weights[0] * length / limits[2] + weights[1] * tilt / larger(1e-6, limits[3]);
    const double share = (int)(soft[p] >> 8) / 255.0;
    sum += weights[2] * share * share + weights[5] * own[3] * own[3];
    if (limits[8] > 0.0) {
        if (own[1] < limits[5]) { bits |= 1u << RULE_ORGAN; off += limits[5] - own[1]; }
        const double width = larger(1e-6, limits[7] - limits[5]);
        sum += weights[4] * smaller(1.0, larger(0.0, (limits[7] - own[1]) / width));
        if (bits == 0u && own[2] >= 0.0) {
            const double depth = own[2] / limits[0];
            double at[3];
            for (int k = 0; k < 3; ++k) at[k] = (w.x[k] + depth * u[k]) / organ_step - 0.5;
            const double angle = capsule(organ, m0, m1, m2, at, u);
            if (angle < limits[6]) { bits |= 1u << RULE_CAPSULE; off += limits[6] - angle; }
            const double flat = (90.0 - angle) / larger(1e-6, 90.0 - limits[6]);
            sum += weights[3] * flat * flat;
        }
    }
    if (seen[p] & UNKNOWN_BIT) bits |= 1u << RULE_UNKNOWN;
    rule[p] = bits | TESTED | WALKED;
    lack[p] = off;
    cost[p] = sum;
}

// The smallest value of a block and its tip, the first of equal ones; every thread gets it.
__device__ static void least(double* value, int* tip, double v, int m, int thread)
{
    value[thread] = v;
    tip[thread] = m;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (thread < half) {
            const double other = value[thread + half];
            const int o = tip[thread + half];
            if (o >= 0 && (tip[thread] < 0 || other < value[thread]
                    || (other == value[thread] && o < tip[thread]))) {
                value[thread] = other;
                tip[thread] = o;
            }
        }
        __syncthreads();
    }
}

// The counts and the best of each entry; `bent_tip` the path nearest to the rules on the needle, or
// -1 where there is a clear path or none such.
extern "C" __global__ void rays_entries(
    const unsigned int* __restrict__ rule, const unsigned int* __restrict__ path_soft,
    const double* __restrict__ lack, const double* __restrict__ cost, int tips, int* counts,
    int* broken, double* best, int* best_tip, unsigned int* soft, double* miss, int* miss_tip,
    double* bent, int* bent_tip)
{
    __shared__ double value[BLOCK];
    __shared__ int index[BLOCK], tally[RULES + 3];
    const int e = blockIdx.x, thread = threadIdx.x;
    const long long first = (long long)e * tips;
    for (int n = thread; n < RULES + 3; n += BLOCK) tally[n] = 0;
    __syncthreads();
    double own[4] = {1e300, 1e300, 1e300, 1e300};  // clear, unsure, rejected, bent
    int own_tip[4] = {-1, -1, -1, -1};
    for (int m = thread; m < tips; m += BLOCK) {
        const unsigned int bits = rule[first + m];
        if (!(bits & (TESTED | FAR))) continue;
        if (bits & TESTED) atomicAdd(&tally[RULES], 1);
        const bool walked = (bits & WALKED) != 0u;
        const int unknown = (int)((bits >> RULE_UNKNOWN) & 1u);
        for (int n = 0; n < RULES; ++n)
            if ((bits >> n) & 1u) atomicAdd(&tally[n], 1);
        const bool passes = walked && (bits & ((1u << RULE_UNKNOWN) - 1u)) == 0u;
        if (passes) atomicAdd(&tally[RULES + 1 + unknown], 1);
        const int kind = passes ? unknown : (walked ? 2 : 3);
        const double v = passes ? cost[first + m] : lack[first + m];
        if (v < own[kind]) { own[kind] = v; own_tip[kind] = m; }
    }
    for (int kind = 0; kind < 4; ++kind) {
        least(value, index, own[kind], own_tip[kind], thread);
        if (thread == 0 && index[0] >= 0) {
            const int m = index[0];
            if (kind < 2) {
                best[2 * e + kind] = value[0];
                best_tip[2 * e + kind] = m;
                soft[2 * e + kind] = path_soft[first + m];
            } else if (kind == 2) {
                miss[e] = value[0];
                miss_tip[e] = m;
            } else if (tally[RULES + 1] == 0 && value[0] < miss[e]) {
                bent[e] = value[0];
                bent_tip[e] = m;
            }
        }
        __syncthreads();
    }
    for (int n = thread; n < RULES; n += BLOCK) broken[RULES * e + n] = tally[n];
    for (int n = thread; n < 3; n += BLOCK) counts[3 * e + n] = tally[RULES + n];
}

// One thread an entry: what the bent path meets as well, and whether that is the nearest miss.
extern "C" __global__ void __launch_bounds__(BLOCK, 16) rays_bent(
    const unsigned int* __restrict__ raster, const double* __restrict__ entry,
    const double* __restrict__ tip, const double* __restrict__ settings, int entries, int n0,
    int n1, int n2, const double* __restrict__ bent, const int* __restrict__ bent_tip,
    double* miss, int* miss_tip)
{
    const int e = blockIdx.x * BLOCK + threadIdx.x;
    if (e >= entries || bent_tip[e] < 0) return;
    unsigned int seen, soft;
    double met[4];
    walk(raster, n0, n1, n2, way_of(entry, tip, e, bent_tip[e]), settings, &seen, &soft, met);
    const double total = bent[e] + met[0];
    if (total < miss[e]) { miss[e] = total; miss_tip[e] = bent_tip[e]; }
}
