// Enthalpy bioheat on a padded cubic grid: one RKL1 stage and the distributed line sources.
//
// Same state, units and scheme as the CPU twin, irplan/compute/cpu/bioheat.py:
// theta = integral of k dT from body temperature (W/m) in each voxel's own tissue, tau = T - T_body
// (K), u = enthalpy relative to rest (MJ/m3), lengths in mm, times in s.  Arrays are flat and padded
// by one resting voxel on every side.  Order (slice, row, column), columns fastest.
//
// tissues: n rows of 8 floats: heat capacity unfrozen, mushy, frozen (MJ/m3K; 0 = held at a fixed
//   temperature), conductivity unfrozen, mushy, frozen (W/mK), perfusion (MJ/m3K/s),
//   metabolic heat (MJ/m3/s).
// pair: 3 x n x n harmonic mean conductivity of two tissues within each phase.
// Sums are written one per block, in a fixed order: the result does not depend on timing.

#define BLOCK 128
#define COLUMNS 4  // perfusion, metabolic, from fixed tissue, through the outer faces

struct Parts { float a, b, c; };

__device__ static inline Parts split(float x, float low, float mid)
{
    // low = value at the solidus, mid = value at the liquidus
    Parts p;
    p.a = fmaxf(x, mid);
    p.b = fminf(fmaxf(x, low), mid) - mid;
    p.c = fminf(x - low, 0.0f);
    return p;
}

__device__ static inline float theta_of(float x, const float* q, float tl, float ts)
{
    Parts p = split(x, ts, tl);
    return q[3] * p.a + q[4] * p.b + q[5] * p.c;
}

__device__ static inline float tau_of(float t, const float* q, float tl, float ts)
{
    float mid = q[3] * tl, low = mid + q[4] * (ts - tl);
    Parts p = split(t, low, mid);
    return p.a / q[3] + p.b / q[4] + p.c / q[5];
}

__device__ static inline float u_of(float x, const float* q, float tl, float ts)
{
    Parts p = split(x, ts, tl);
    return q[0] * p.a + q[1] * p.b + q[2] * p.c;
}

__device__ static inline float tau_of_u(float u, const float* q, float tl, float ts)
{
    float mid = q[0] * tl, low = mid + q[1] * (ts - tl);
    Parts p = split(u, low, mid);
    return p.a / q[0] + p.b / q[1] + p.c / q[2];
}

__device__ static inline void block_sum(float* shared, const float* value, int columns, double* out)
{
    // Tree reduction of each column over a block of BLOCK threads; thread 0 writes.
    for (int c = 0; c < columns; ++c) shared[c * BLOCK + threadIdx.x] = value[c];
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half)
            for (int c = 0; c < columns; ++c)
                shared[c * BLOCK + threadIdx.x] += shared[c * BLOCK + threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        for (int c = 0; c < columns; ++c) out[c] = (double)shared[c * BLOCK];
}

// th0 (Y_j-2) becomes Y_j from th1 (Y_j-1); window = z0, z1, y0, y1, x0, x1; sums[block][COLUMNS]
// in units of rate (perfusion, metabolic) and W/m (fixed, outer faces).  One thread a voxel.
extern "C" __global__ void bioheat_stage(
    const float* th1, float* th0, const unsigned char* kind, const float* tissues,
    const float* pair, int n_tissues, float tl, float ts, int nz, int ny, int nx,
    const int* window, float alpha, float beta, float gamma, float gamma_h2, double* sums)
{
    __shared__ float shared[COLUMNS * BLOCK];
    int wx = window[5] - window[4], wy = window[3] - window[2], wz = window[1] - window[0];
    long long cell = (long long)blockIdx.x * BLOCK + threadIdx.x;
    float flow = 0.0f, heat = 0.0f, from_fixed = 0.0f, outer = 0.0f;
    if (cell < (long long)wx * wy * wz) {
        int x = window[4] + (int)(cell % wx);
        int y = window[2] + (int)((cell / wx) % wy);
        int z = window[0] + (int)(cell / ((long long)wx * wy));
        long long row = nx + 2, plane = row * (ny + 2);
        long long i = (z + 1) * plane + (y + 1) * row + x + 1;
        const float* q = tissues + 8 * kind[i];
        if (q[0] > 0.0f) {
            long long step[6] = {-1, 1, -row, row, -plane, plane};
            float t = th1[i];
            float tau = tau_of(t, q, tl, ts);
            Parts here = split(tau, ts, tl);
            float lap = 0.0f;
            for (int f = 0; f < 6; ++f) {
                long long j = i + step[f];
                if (kind[j] == kind[i]) {
                    lap += th1[j] - t;
                    continue;
                }
                const float* other = tissues + 8 * kind[j];
                Parts there = split(tau_of(th1[j], other, tl, ts), ts, tl);
                int at = kind[i] * n_tissues + kind[j], square = n_tissues * n_tissues;
                float flux = pair[at] * (there.a - here.a) + pair[square + at] * (there.b - here.b)
                    + pair[2 * square + at] * (there.c - here.c);
                lap += flux;
                if (other[0] <= 0.0f) from_fixed += flux;
            }
            int faces = (x == 0) + (x == nx - 1) + (y == 0) + (y == ny - 1) + (z == 0)
                + (z == nz - 1);
            outer = -(float)faces * t;
            float alive = tau > tl ? 1.0f : 0.0f;
            flow = -q[6] * tau * alive;
            heat = q[7] * alive;
            float u = alpha * u_of(tau, q, tl, ts) + beta * u_of(tau_of(th0[i], q, tl, ts), q, tl, ts)
                + gamma_h2 * lap + gamma * (flow + heat);
            th0[i] = theta_of(tau_of_u(u, q, tl, ts), q, tl, ts);
        }
    }
    float value[COLUMNS] = {flow, heat, from_fixed, outer};
    block_sum(shared, value, COLUMNS, sums + (long long)blockIdx.x * COLUMNS);
}

// heat[m] = strength[m] * sum of weight * (theta at the probe's surface - theta) of sample m.
// One block a sample; surface_tau[m] is the probe's temperature relative to the body.
extern "C" __global__ void line_gather(
    const float* th1, const unsigned char* kind, const float* tissues, float tl, float ts,
    const long long* sample_ptr, const long long* voxel, const float* weight,
    const float* strength, const float* surface_tau, double* heat)
{
    __shared__ float shared[BLOCK];
    int m = blockIdx.x;
    float part = 0.0f;
    for (long long e = sample_ptr[m] + threadIdx.x; e < sample_ptr[m + 1]; e += BLOCK) {
        const float* q = tissues + 8 * kind[voxel[e]];
        part += weight[e] * (theta_of(surface_tau[m], q, tl, ts) - th1[voxel[e]]);
    }
    block_sum(shared, &part, 1, heat + m);
    if (threadIdx.x == 0) heat[m] *= (double)strength[m];
}

// Adds gamma * (heat of the samples that reach voxel v) to u of th0; one thread a voxel, each
// voxel listed once.  lost[v] is what fell on a fixed voxel (not stored), else 0.
extern "C" __global__ void line_scatter(
    float* th0, const unsigned char* kind, const float* tissues, float tl, float ts, float gamma,
    int n_voxels, const long long* voxel, const long long* voxel_ptr, const int* sample,
    const float* weight, const double* heat, double* lost)
{
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n_voxels) return;
    double source = 0.0;
    for (long long e = voxel_ptr[v]; e < voxel_ptr[v + 1]; ++e)
        source += (double)weight[e] * heat[sample[e]];
    long long i = voxel[v];
    const float* q = tissues + 8 * kind[i];
    lost[v] = 0.0;
    if (q[0] <= 0.0f) {
        lost[v] = source;
        return;
    }
    float u = u_of(tau_of(th0[i], q, tl, ts), q, tl, ts) + gamma * (float)source;
    th0[i] = theta_of(tau_of_u(u, q, tl, ts), q, tl, ts);
}
