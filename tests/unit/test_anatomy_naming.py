"""Structure names as they occur are read rightly."""

import pytest

from hepatica.anatomy.naming import Reading, read_label_numbers, read_name, to_structure_kind
from hepatica.anatomy.structures import StructureKind as K
from hepatica.core.errors import NotFoundError

EXPECTED = {
    "livertumor1": K.LESION, "livertumor2": K.LESION, "portalvein": K.PORTAL_VEIN,
    "venoussystem": K.HEPATIC_VEIN, "artery": K.AORTA, "skin": K.BODY, "bone": K.BONE,
    "leftkidney": K.KIDNEY, "rightlung": K.LUNG, "venacava": K.VENA_CAVA, "gallbladder": K.GALLBLADDER,
    "biliarysystem": K.BILE_DUCT, "livercyst": K.OTHER_ORGAN, "smallintestin": K.BOWEL,
    "leftsurrenalgland": K.ADRENAL, "liver": K.LIVER, "GTV": K.LESION, "Liver-GTV": K.LIVER,
    "Liver - CTV": K.LIVER, "BODY": K.BODY, "External": K.BODY, "Kidney_L": K.KIDNEY,
    "SpinalCord": K.OTHER_ORGAN, "Bowel_Bag": K.BOWEL, "A_Aorta": K.AORTA, "Lung_R": K.LUNG,
    "V_VenaCava_I": K.VENA_CAVA, "GB": K.GALLBLADDER, "CBD": K.BILE_DUCT, "Ribs": K.BONE,
    "RHV": K.HEPATIC_VEIN, "Liver": K.LIVER, "Portal vein": K.PORTAL_VEIN, "Neoplasm": K.LESION,
    "Mass": K.LESION, "Abdominal aorta": K.AORTA, "Tumour 3": K.LESION, "tumors": K.LESION,
    "HCC_2": K.LESION, "Hepatic metastases": K.LESION, "S8 lesion": K.LESION, "Liver segment 8": K.LIVER,
    "Oesophagus": K.OESOPHAGUS, "Vertebrae": K.BONE, "LiverTumor": K.LESION, "Necrosis": K.NECROSIS,
    "non-viable tumour": K.NECROSIS, "liver_tumour.nii.gz": K.LESION, "hepatic vessels": K.LIVER_VESSEL,
    "colorectal liver metastasis": K.LESION, "kidney tumour": K.KIDNEY, "lung metastasis": K.LUNG,
    "portal vein tumour thrombus": K.PORTAL_VEIN, "normal liver": K.LIVER, "liver without tumour": K.LIVER,
    "lesion next to gallbladder": K.LESION, "haemangioma": K.OTHER_ORGAN, "port-a-cath": K.IMPLANT,
    "pericardium": K.HEART,
}  # fmt: skip


@pytest.mark.requirement("A-labels-names")
@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_a_name_as_it_occurs_is_read_as_the_kind_a_radiologist_means(name, kind):
    assert to_structure_kind(name) is kind


@pytest.mark.requirement("A-labels-names")
@pytest.mark.parametrize(
    ("table", "count", "probes"),
    [
        ("totalsegmentator-v1", 104, {5: "liver", 7: "aorta", 55: "small_bowel", 104: "urinary_bladder"}),
        (
            "totalsegmentator-v2",
            117,
            {5: "liver", 7: "pancreas", 18: "small_bowel", 117: "costal_cartilages"},
        ),
        ("totalsegmentator-mr", 50, {5: "liver", 22: "heart", 50: "brain"}),
    ],
)
def test_number_tables_are_complete_and_every_name_in_them_is_known(table, count, probes):
    names = read_label_numbers(table)
    assert sorted(names) == list(range(1, count + 1))
    assert len(set(names.values())) == count
    assert {number: names[number] for number in probes} == probes
    assert [n for n in names.values() if read_name(n).reading is Reading.UNKNOWN] == []


def test_every_totalsegmentator_rib_and_vertebra_is_bone_and_every_muscle_is_ignorable():
    for name in read_label_numbers("totalsegmentator-v2").values():
        if name.startswith(("rib_", "vertebrae_", "hip_", "femur_")):
            assert to_structure_kind(name) is K.BONE
        if name.startswith(("gluteus_", "autochthon_", "iliopsoas_")):
            assert read_name(name).reading is Reading.IGNORABLE


@pytest.mark.requirement("A-labels-names")
@pytest.mark.real_data("totalsegmentator-examples")
@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("totalsegmentator-v1", "ct_3mm_labels_v1.csv"),
        ("totalsegmentator-v2", "labels_v2.csv"),
        ("totalsegmentator-mr", "labels_mr.csv"),
    ],
)
def test_built_in_numbers_agree_with_the_programs_own_lists(real_data, table, file):
    lines = (real_data / "totalsegmentator-examples" / file).read_text().split()[1:]
    listed = {int(line.split(",")[0]): line.split(",")[1] for line in lines}
    assert dict(read_label_numbers(table)) == listed


def test_an_unknown_table_is_refused_with_the_tables_there_are():
    with pytest.raises(NotFoundError, match="totalsegmentator-v1"):
        read_label_numbers("totalsegmentator-v9")


@pytest.mark.parametrize(
    "name", ["iliac_vena_left", "superior_vena_cava", "brachiocephalic vein", "renal vein"]
)
def test_a_vein_outside_the_liver_never_counts_as_labelled_hepatic_veins(name):
    assert to_structure_kind(name) is K.VENA_CAVA


@pytest.mark.parametrize("name", ["foo", "L1", "Segment_1", "xyz 12", ""])
def test_a_name_that_says_nothing_is_unknown_and_not_guessed(name):
    reading = read_name(name)
    assert (reading.reading, reading.kind) == (Reading.UNKNOWN, None)


@pytest.mark.parametrize(
    "name", ["PTV 50", "CouchSurface", "subcutaneous_fat", "psoas", "diaphragm", "torso_fat"]
)
def test_known_names_that_are_no_structure_differ_from_unknown_ones(name):
    assert read_name(name).reading is Reading.IGNORABLE
    assert to_structure_kind(name) is None


@pytest.mark.parametrize(
    ("name", "hint", "kind"),
    [
        ("Segment_1", "Liver", K.LIVER),
        ("ROI 4", "Malignant neoplasm", K.LESION),
        ("Liver", "Neoplasm", K.LESION),
        ("normal liver", "Neoplasm", K.LIVER),
        ("Portal vein", "Vein", K.PORTAL_VEIN),
        ("Segment_2", "Tissue", None),
    ],
)
def test_the_coded_meaning_decides_where_the_name_does_not(name, hint, kind):
    assert to_structure_kind(name, hint=hint) is kind


@pytest.mark.requirement("A-labels-derived-marker")
@pytest.mark.parametrize(
    "name", ["stomach (derived)", "Stomach derived, not reviewed", "stomach_derived", "stomach (unreviewed)"]
)
def test_a_name_that_admits_it_was_derived_is_read_so(name):
    reading = read_name(name)
    assert (reading.kind, reading.derived) == (K.STOMACH, True)
    assert not read_name("stomach").derived


def test_a_viable_part_is_not_a_further_tumour():
    assert read_name("Viable tumour").reading is Reading.VIABLE
    assert read_name("enhancing tumor").reading is Reading.VIABLE
    assert read_name("non-enhancing tumor").kind is K.NECROSIS


def test_a_tumour_of_another_organ_is_told_and_not_taken_as_a_liver_lesion():
    reading = read_name("kidney tumour")
    assert reading.tumor_elsewhere
    assert not read_name("liver tumour").tumor_elsewhere
