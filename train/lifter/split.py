"""Which avatars and poses train the lifter, which choose settings (val), which are only measured (test). Fixed; nothing may move."""

from __future__ import annotations

TEST_AVATARS = (
    "X_AIAN_F_1_Casual", "X_AIAN_F_1_Milit", "X_AIAN_M_1_Casual", "X_MENA_F_1_Casual", "X_NHPI_F_1_Casual", "X_NHPI_F_1_Util",
    "X_NHPI_F_3_Casual", "X_NHPI_M_1_Casual", "X_NHPI_M_1_Milit",
    # the people on whom the fit without the lifter was measured
    "Black_F_1_Casual", "MENA_M_3_Casual", "Hispanic_M_1_Casual", "Asian_M_1_Casual", "Asian_F_1_Milit", "MENA_F_1_Casual",
    "NHPI_M_1_Milit", "Black_F_3_Milit", "Black_M_1_Casual", "White_M_2_Casual", "White_M_1_Casual", "Asian_F_1_Casual",
    "White_M_1_Util", "Asian_M_3_Util", "White_F_1_Casual",
)
"""The other avatars measure the landmarks' errors (with train poses) and choose settings (with val poses)."""

TEST_CLIPS = ("cmu_02_01", "cmu_02_05", "cmu_02_08", "cmu_03_03", "cmu_01_11")
VAL_CLIPS = ("cmu_02_02", "cmu_01_09", "cmu_03_04")

TEST_POSES = (
    "mh_standing01", "mh_standing03", "mh_standing04", "mh_standing06", "mhc_StandingDefault", "mhc_StandingNatural",
    "mhc_StandingAtAttention", "mhc_StandingModestEmbarrassed", "mhc_Harvey_StandingFashion1", "mhc_Harvey_StandingFashion3",
    "mhc_Harvey_StandingFashion7", "mh_gym01", "mh_run01", "mhc_Running", "mhc_SittingNatural", "mh_fight01",
    "mhc_Harvey_Fightpose2", "mhc_heavylift", "mhc_Genuflect", "mh_fight03", "mhc_SittingPose", "mhc_Harvey_selfie1",
    "mhc_Swinging_01", "mh_sit01",
)
VAL_POSES = ("mh_fight04", "mhc_Harvey_FashionCloseup2", "mhc_Sit_01A", "mhc_Running_Swing_Phase", "mhc_Harvey_Yoga2",
             "mhc_SittingDefault", "mh_fly02")


def part_of_pose(name: str) -> str:
    """"train", "val" or "test". A motion clip is never cut in two."""
    clip = "_".join(name.split("_")[:3]) if name.startswith("cmu") else name
    if clip in TEST_CLIPS or name in TEST_POSES:
        return "test"
    return "val" if clip in VAL_CLIPS or name in VAL_POSES else "train"


def part_of_avatar(name: str) -> str:
    """"test" or "train" (val pictures use train avatars)."""
    return "test" if name in TEST_AVATARS else "train"
